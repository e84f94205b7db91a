import assert from 'node:assert/strict';
import path from 'node:path';
import { z } from 'zod';
import { readLines } from '../../coordinator/run-store/line-file.js';
import { metricSchema, type WorkerStepMetric } from '../../proto/metrics.js';
import { parseValue } from '../../runtime/parse-json.js';
import { runCoordinator } from '../support/coordinator-run.js';
import { type Shares, sharesOf } from './shares.js';
import { type Made, madeSchema, type Setting, type Speeds, speedsOf } from './speeds.js';

/** Of the event of a step, which also says how long it took by itself. */
const stepSchema = madeSchema.omit({ seconds: true }).extend({ step: z.int(), skipped: z.boolean() });

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
      const { step, skipped, ...counts } = parseValue(stepSchema, event, { name: 'the event of a step' });
      assert(!skipped, `step ${step} was skipped: without its update it says nothing`);
      made.push({ ...counts, seconds });
    }
    const steps: WorkerStepMetric[] = [];
    for await (const metric of readLines(path.join(folder, 'metrics.jsonl'), metricSchema)) {
      if (metric.kind === 'worker-step') steps.push(metric);
    }
    return { speeds: speedsOf(made), shares: sharesOf(steps) };
  });
}
