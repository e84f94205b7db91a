import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from '../../coordinator/cli/start.js';
import type { RawStart } from '../../coordinator/options/start-schema.js';
import type { Summary } from '../../coordinator/run-store/summary.js';
import type { RunEvent } from '../../coordinator/telemetry/run-events.js';
import { RondoError } from '../../runtime/errors.js';
import { type FakeRun, type Faults, fakeRun } from './fake-run.js';
import { memoryOutput } from './memory-output.js';

/** 9 steps: 3 epochs of 3. */
export const recipe = {
  data: 'photos',
  arch: 'resnet18',
  size: 64,
  'batch-size': 8,
  'micro-batch': 4,
  epochs: 3,
};

export interface Session extends FakeRun {
  readonly code: number | null;
  readonly error: RondoError | null;
  readonly events: RunEvent[];
  readonly path: string;
  readonly summary: Summary;
}

/** Of a process: to finish the step, and to end at once. */
export class Signals {
  readonly graceful = new AbortController();
  readonly atOnce = new AbortController();
  readonly signal = this.graceful.signal;
  readonly immediate = this.atOnce.signal;
  close() {}
}

/** `coordinator start` over a cluster that computes nothing, and what it left. */
export async function runStart(
  runs: string,
  raw: RawStart,
  faults: Faults = {},
  signals = new Signals(),
  hear: (event: RunEvent) => void = () => {},
): Promise<Session> {
  const fake = fakeRun(faults);
  const output = memoryOutput();
  const write = output.write.bind(output);
  output.write = (line: string) => {
    hear(JSON.parse(line) as RunEvent);
    return write(line);
  };
  const environment = {
    services: fake.services,
    output,
    argv: ['node', '/bin/coordinator', 'start'],
    openLifecycle: () => signals,
    exit: () => {},
  };
  let [code, error]: [number | null, RondoError | null] = [null, null];
  try {
    code = await start({ 'run-dir': runs, json: true, ...raw }, environment);
  } catch (thrown) {
    error = RondoError.from(thrown);
  }
  const events = output.lines().map((line) => JSON.parse(line) as RunEvent);
  const path = join(runs, 'mine');
  const file = join(path, 'summary.json');
  const summary = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Summary) : (null as never);
  return { ...fake, code, error, events, path, summary };
}

/** A new run called mine, and how it is resumed. */
export const fresh = { ...recipe, name: 'mine', workers: 2 };
export const resume = { resume: 'mine' };
