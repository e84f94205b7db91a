import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type JobContract, type JobLine, jobLineSchema } from '../../proto/jobs.js';
import { usableCores } from '../../runtime/cores.js';
import { RondoError } from '../../runtime/errors.js';
import { parseJson, parseValue } from '../../runtime/parse-json.js';
import { findGpus } from './gpus.js';
import { workerEnvironment, workerNodeArguments } from './worker-environment.js';

export interface JobOptions<Item> {
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
  /** Called with each item as it arrives. */
  readonly onItem?: (item: Item) => void;
  readonly signal?: AbortSignal;
  /** The worker's compiled program; found beside this one unless given. */
  readonly program?: string;
}

/** Does one kind of job, for those who need not know how. */
export type JobRunner<Contract> =
  Contract extends JobContract<infer Request, infer Item, infer Result>
    ? (request: Request, options: JobOptions<Item>) => Promise<Result>
    : never;

/** dist/coordinator/launch/run-job.js → dist/worker/main.js */
const workerProgram = fileURLToPath(new URL('../../worker/main.js', import.meta.url));
/** For a job to end by itself once it is told to. */
const graceMs = 5_000;
const tailBytes = 4_096;
const tailLines = 15;
const mixedVersions = 'coordinator and worker are not of one version: build them again (npm run build)';

/**
 * Has the worker program do a job in a process of its own, with all of the machine's cores and its first GPU:
 * the coordinator itself never loads TensorFlow. Resolves to the job's result.
 *
 * @throws RondoError: the job's own; `cancelled` when the signal comes; `unavailable`, with the last lines
 * that it printed, when the process dies.
 */
export async function runWorkerJob<Request, Item, Result>(
  contract: JobContract<Request, Item, Result>,
  request: Request,
  { onProgress, onItem, signal, program = workerProgram }: JobOptions<Item> = {},
): Promise<Result> {
  const { name } = contract;
  if (signal?.aborted) throw cancelled(name, signal);
  const child = spawn(process.execPath, [...workerNodeArguments, program, 'job', name], {
    // A group of its own: a terminal's Ctrl-C reaches the coordinator alone, which then ends the job.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: workerEnvironment(process.env, { index: 0, threads: usableCores(), gpus: findGpus() }),
  });
  const destroy = () => void child.kill('SIGKILL');
  let forced: NodeJS.Timeout | undefined;
  const end = () => {
    child.kill('SIGTERM');
    forced ??= setTimeout(destroy, graceMs);
  };
  process.once('exit', destroy);
  signal?.addEventListener('abort', end, { once: true });

  let tail = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = `${tail}${text}`.slice(-tailBytes);
  });
  // A process that dies early does not read its request; its exit is reported instead.
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(request));
  try {
    const source = { name: `what "${name}" told`, code: 'internal', remedy: mixedVersions } as const;
    let outcome: { result: Result } | { error: RondoError } | undefined;
    const exit = waitForExit(child);
    for await (const text of createInterface({ input: child.stdout })) {
      const line = readJobLine(text);
      if (line?.kind === 'progress') onProgress?.({ done: line.done, total: line.total });
      else if (line?.kind === 'item') onItem?.(parseValue(contract.item, line.value, source));
      else if (line?.kind === 'result') outcome = { result: parseValue(contract.result, line.value, source) };
      else if (line?.kind === 'error') outcome = { error: RondoError.fromPlain(line) };
    }
    const reason = await exit;
    if (outcome !== undefined && 'result' in outcome) return outcome.result;
    if (signal?.aborted) throw cancelled(name, signal);
    throw outcome?.error ?? died(name, reason, tail);
  } finally {
    clearTimeout(forced);
    signal?.removeEventListener('abort', end);
    process.removeListener('exit', destroy);
    // The process is still running only when a listener threw.
    if (child.exitCode === null && child.signalCode === null) destroy();
  }
}

/** Null for a line that is none of the job's own: a library may print there too. */
function readJobLine(text: string): JobLine | null {
  if (!text.startsWith('{')) return null;
  try {
    return parseJson(jobLineSchema, text, { name: 'a line' });
  } catch {
    return null;
  }
}

/** Resolves to how it ended, in words. Never rejects. */
function waitForExit(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started (${error.message})`));
    child.once('close', (code, signal) =>
      resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`),
    );
  });
}

function died(name: string, reason: string, tail: string): RondoError {
  const lines = tail.trimEnd().split('\n').slice(-tailLines).join('\n');
  const said = lines === '' ? 'It printed nothing.' : `Its last lines:\n${lines}`;
  return new RondoError('unavailable', `the process that does "${name}" ${reason}. ${said}`, {
    remedy: 'if memory was short, give it less at a time (a smaller --batch, where there is one)',
  });
}

function cancelled(name: string, signal: AbortSignal): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('cancelled', `"${name}" was stopped`, { cause: signal.reason });
}
