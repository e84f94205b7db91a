import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';

const program = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));
const run = promisify(execFile);

/** `npm run bench -- …args`. Rejects as execFile does. */
export function runBench(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  return run(process.execPath, [program, ...args], { env, maxBuffer: 1 << 24 });
}

/** For a test file: runs benches, with a cache folder of their own, and gives their reports. */
export function openBenches() {
  let cache: string;
  beforeAll(() => {
    cache = mkdtempSync(path.join(tmpdir(), 'rondo-bench-cache-'));
  });
  afterAll(() => rmSync(cache, { recursive: true, force: true }));

  return async (name: string, options: string): Promise<Record<string, unknown>> => {
    const { stdout } = await runBench([name, ...options.split(' '), '--json'], {
      ...process.env,
      RONDO_CACHE: cache,
    });
    return JSON.parse(stdout) as Record<string, unknown>;
  };
}

export const positive = { p10: expect.toSatisfy(isPositive), median: expect.toSatisfy(isPositive) };

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && value > 0;
}
