import { type StepMetric, subjects, type WorkerStepMetric } from '../../proto/metrics.js';
import type { TaskEvent } from '../training/task.js';
import type { CoordinatorLink } from './coordinator-link.js';
import type { Generation } from './generation.js';
import type { MetricsPublisher } from './metrics-publisher.js';

type EventOf<Kind extends TaskEvent['kind']> = Extract<TaskEvent, { kind: Kind }>;

/** Tells the coordinator (what the run depends on) and NATS (what people look at) of what training did. */
export interface Reporter {
  report(event: TaskEvent, generation: Generation): void;
}

export function createReporter(
  session: CoordinatorLink,
  publisher: MetricsPublisher,
  { runId, workerId }: { runId: string; workerId: string },
): Reporter {
  let before = cpuSeconds();
  return {
    report(event, generation) {
      const now = cpuSeconds();
      session.send(messageOf(event, generation, now - before));
      before = now;
      if (event.kind !== 'step') return;
      const subject = subjects.step(runId, workerId);
      const id = `${workerId}/${process.pid}/${generation.number}/${event.plan.step}`;
      if (generation.rank === 0)
        publisher.publish(subject, `${id}/step`, stepMetric(runId, event, generation));
      publisher.publish(subject, `${id}/worker`, workerMetric(runId, workerId, event, generation));
    },
  };
}

/** Of processors, by all threads of this process. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** @param cpu of processors, in seconds, since the event before. */
function messageOf(
  event: TaskEvent,
  { number, rank }: Generation,
  cpu: number,
): Parameters<CoordinatorLink['send']>[0] {
  switch (event.kind) {
    case 'step': {
      const { plan, outcome, sampleIds, seconds, cost, waitDataSeconds: data } = event;
      const times = { data, compute: cost.gradients + cost.apply, wait: cost.ringExposed, cpu };
      const { loss, correct, samples, skipped } = outcome;
      return {
        $case: 'stepCommitted',
        value: {
          ...{ generation: number, step: BigInt(plan.step), rank, loss, correct, samples, skipped, seconds },
          sampleIds: [...sampleIds],
          times,
        },
      };
    }
    case 'evaluation': {
      const { sampleIds, losses, predictions, labelRanks, probabilities } = event.share;
      return {
        $case: 'evaluation',
        value: {
          ...{ generation: number, step: BigInt(event.step), epoch: event.epoch, rank },
          sampleIds: [...sampleIds],
          losses: [...losses],
          predictions: [...predictions],
          labelRanks: [...labelRanks],
          probabilities: [...probabilities],
        },
      };
    }
    case 'snapshot': {
      const { digests } = event;
      return {
        $case: 'epochCompleted',
        value: {
          ...{ generation: number, epoch: event.epoch, step: BigInt(event.snapshot.step), rank },
          ...{ whole: event.whole, stopped: event.stopped },
          stateDigest: digests.state,
          parameterDigest: digests.parameters,
        },
      };
    }
  }
}

function stepMetric(
  runId: string,
  { plan, outcome, seconds }: EventOf<'step'>,
  { number, worldSize }: Generation,
): StepMetric {
  const { step, epoch, learningRates, momentum } = plan;
  const { loss, samples, correct, skipped } = outcome;
  return {
    ...{ kind: 'step', runId, step, epoch, loss, samples, correct, learningRates, momentum, skipped },
    ...{ generation: Number(number), worldSize, seconds },
  };
}

function workerMetric(
  runId: string,
  worker: string,
  { plan, sampleIds, cost, waitDataSeconds }: EventOf<'step'>,
  { rank }: Generation,
): WorkerStepMetric {
  const { step } = plan;
  return {
    ...{
      kind: 'worker-step',
      runId,
      worker,
      step,
      rank,
      samples: sampleIds.length,
      waitData: waitDataSeconds,
    },
    ...cost,
    residentBytes: process.memoryUsage.rss(),
  };
}
