import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

const eventSchema = z.looseObject({ kind: z.string() });

/** An event of a run, and when it was heard of: seconds after the program was started. */
export interface TimedEvent {
  readonly event: z.infer<typeof eventSchema>;
  readonly seconds: number;
}

/** `coordinator start`, as a person types it. */
export interface CoordinatorRun {
  readonly pid: number;
  /** In order, to the program's end. @throws Error when it ended badly without having been interrupted. */
  events(): AsyncGenerator<TimedEvent, void>;
  /** As Ctrl-C does. */
  interrupt(): void;
}

const program = fileURLToPath(new URL('../../coordinator/main.js', import.meta.url));

/**
 * Runs `coordinator start` with these options in a folder of its own, which `use` may look into and which is
 * removed afterwards. With `coldCache` nothing is known of the images before it starts.
 */
export async function runCoordinator<T>(
  options: readonly string[],
  { coldCache }: { coldCache: boolean },
  use: (run: CoordinatorRun, folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rondo-bench-run-'));
  const env = coldCache ? { ...process.env, RONDO_CACHE: path.join(folder, 'cache') } : process.env;
  const args = [
    program,
    'start',
    ...options,
    '--run-dir',
    path.join(folder, 'runs'),
    '--name',
    'bench',
    '--json',
  ];
  const started = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  let interrupted = false;
  const run: CoordinatorRun = {
    pid: child.pid!,
    async *events() {
      for await (const line of createInterface({ input: child.stdout })) {
        const event = parseJson(eventSchema, line, { name: 'an event of coordinator start' });
        yield { event, seconds: (performance.now() - started) / 1000 };
      }
      const [code] = await exited;
      if (code !== 0 && !interrupted) throw new Error(`coordinator start ended with ${code}:\n${complaints}`);
    },
    interrupt() {
      interrupted = true;
      child.kill('SIGINT');
    },
  };
  try {
    return await use(run, path.join(folder, 'runs', 'bench'));
  } finally {
    if (child.exitCode === null) child.kill('SIGINT');
    await exited;
    await rm(folder, { recursive: true, force: true });
  }
}
