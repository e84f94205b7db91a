import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { totalSteps } from '../../plan/phases.js';
import type { Batches } from './batches.js';
import { evaluateShare } from './evaluate.js';
import { openTaskBatches, takeSteps } from './step-sequence.js';
import type { SnapshotEvent, TaskEvent, TaskOptions, TaskRun } from './task.js';

/**
 * Trains from `startStep` on: the steps, a snapshot and this rank's share of the validation set after every
 * epoch, and first of all where those of the epoch before are still due. A snapshot that was asked for inside an
 * epoch comes with the step after it, which does not wait for it. `stopped` when the ranks agreed to end before
 * the last step.
 */
export async function* train(options: TaskOptions): TaskRun {
  const batches = openTaskBatches(options);
  try {
    return yield* trainOn(batches, options);
  } finally {
    await batches.close();
  }
}

async function* trainOn(batches: Batches, options: TaskOptions): TaskRun {
  const { config, startStep, snapshots } = options;
  if (options.epochEndDue) {
    const epoch = startStep / stepsPerEpoch(config) - 1;
    const snapshot = await snapshots.hold(startStep);
    const evaluating = evaluate(options, batches, epoch, startStep);
    // As below.
    evaluating.catch(() => {});
    try {
      const digests = await snapshot.digests();
      yield { kind: 'snapshot', epoch, whole: true, stopped: false, snapshot, digests };
      yield await evaluating;
    } finally {
      await evaluating.catch(() => {});
    }
  }
  let taking: Promise<SnapshotEvent> | null = null;
  for await (const event of takeSteps(options, batches)) {
    yield event;
    if (taking !== null) yield await taking;
    taking = null;
    const { plan, outcome } = event;
    const step = plan.step + 1;
    const [epoch, whole] = [plan.epoch, plan.lastOfEpoch];
    if (whole || outcome.keep || outcome.snapshot) {
      const stopped = !whole && !outcome.snapshot;
      taking = snapshots.take(step).then(async (snapshot) => {
        return { kind: 'snapshot', epoch, whole, stopped, snapshot, digests: await snapshot.digests() };
      });
      // The generation may end before anybody asks for it.
      taking.catch(() => {});
    }
    // Begun before the digests are awaited, which the compute thread has no part in.
    const evaluating = whole ? evaluate(options, batches, epoch, step) : null;
    // The generation may end while the digests are awaited.
    evaluating?.catch(() => {});
    try {
      if (taking !== null && (whole || outcome.stop)) {
        yield await taking;
        taking = null;
      }
      if (evaluating !== null) yield await evaluating;
    } finally {
      await evaluating?.catch(() => {});
    }
    if (outcome.stop && !plan.lastOfRun) return { step, stopped: true, restoredDigest: null };
  }
  return { step: totalSteps(config), stopped: false, restoredDigest: null };
}

async function evaluate(
  options: TaskOptions,
  batches: Batches,
  epoch: number,
  step: number,
): Promise<TaskEvent> {
  const share = await evaluateShare(options.config, step, options, options.compute, batches);
  return { kind: 'evaluation', epoch, step, share };
}
