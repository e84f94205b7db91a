import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { runCoordinator } from '../support/coordinator-run.js';
import { type Shares, sharesOf, type WorkerStep } from './shares.js';
import { type Made, type Setting, type Speeds, speedsOf } from './speeds.js';

export interface RondoRun {
  readonly speeds: Speeds;
  readonly shares: Shares;
}

/** `coordinator start` with nothing left out: loader, ring, update, ledger, metrics over NATS, two epochs. */
export function runRondo({ workers, threads, size, batch, arch, wire, files }: Setting): Promise<RondoRun> {
  const options = {
    data: path.dirname(files[0]!),
    // Pictures have no classes of their own: the last digit of the name will do.
    'label-pattern': String.raw`/\d+(\d)\.jpg$`,
    'valid-pct': '0.1',
    ...{ workers, threads, size, arch, wire, 'batch-size': batch, epochs: 2 },
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return runCoordinator(args, { coldCache: true }, async (run, folder) => {
    const made: Made[] = [];
    for await (const { event, seconds } of run.events()) {
      if (event.kind !== 'step') continue;
      assert(!event.skipped, `step ${event.step} was skipped: without its update it says nothing`);
      made.push({ epoch: event.epoch, samples: event.samples, seconds });
    }
    const text = await readFile(path.join(folder, 'metrics.jsonl'), 'utf8');
    const metrics = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string });
    const steps = metrics.filter((metric) => metric.kind === 'worker-step') as unknown as WorkerStep[];
    return { speeds: speedsOf(made), shares: sharesOf(steps) };
  });
}
