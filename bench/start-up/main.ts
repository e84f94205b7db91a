// `npm run bench -- start-up`: seconds from typing `coordinator start` to the first committed step, and the
// processor time that each worker has taken by then, on a machine that has the sample set already. Every turn is a
// run of its own, which is interrupted after that step.
import { readArguments, toCount } from '../support/arguments.js';
import { type CoordinatorRun, runCoordinator } from '../support/coordinator-run.js';
import { describeEnvironment } from '../support/environment.js';
import { descendantsOf, processorSeconds } from '../support/processes.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import {
  type Arrivals,
  arrivalsOf,
  formatReport,
  type HeardEvent,
  type StartUpReport,
  summarize,
} from './report.js';

const usage = 'Usage: npm run bench -- start-up [--workers 4] [--repeats 5] [--json]';

await runMain(async (args) => {
  const { workers, repeats, json } = parseStartUpArguments(args);
  // Draws the sample set and has it verified, where that was not done before.
  await startUntil('prepared', workers);
  const arrivals: Arrivals[] = [];
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    arrivals.push(arrivalsOf(await startUntil('step', workers)));
  }
  const report: StartUpReport = {
    ...{ bench: 'start-up', workers, repeats, environment: describeEnvironment() },
    arrivals: summarize(arrivals),
  };
  publish(report, formatReport(report), json);
});

/** What is heard of a run that is interrupted at its first event of a kind. */
function startUntil(kind: string, workers: number): Promise<HeardEvent[]> {
  return runCoordinator(['--workers', String(workers)], { coldCache: false }, async (run) => {
    const heard: HeardEvent[] = [];
    for await (const each of run.events()) {
      heard.push({ ...each, workerSeconds: secondsPerWorker(run, workers) });
      if (each.event.kind === kind) run.interrupt();
    }
    return heard;
  });
}

/** Of the processors', so far. */
function secondsPerWorker({ pid }: CoordinatorRun, workers: number): number {
  const joined = descendantsOf(pid).filter(({ command }) => command.includes('worker/main.js join'));
  return joined.reduce((sum, worker) => sum + processorSeconds(worker.pid), 0) / workers;
}

function parseStartUpArguments(args: readonly string[]) {
  const options = {
    workers: { type: 'string', default: '4' },
    repeats: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { json } = values;
    return { workers: toCount('workers', values.workers), repeats: toCount('repeats', values.repeats), json };
  });
}
