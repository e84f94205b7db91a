import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { totalSteps } from '../../plan/phases.js';
import type { Batches } from './batches.js';
import { evaluateShare } from './evaluate.js';
import type { Snapshot } from './snapshots.js';
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
    const held = digest(snapshots.hold(startStep), { epoch, whole: true, stopped: false });
    yield* endEpoch(held, evaluate(options, batches, epoch, startStep));
    await options.epochClosed(epoch);
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
      taking = digest(snapshots.take(step), { epoch, whole, stopped });
    }
    if (taking !== null && whole) {
      yield* endEpoch(taking, evaluate(options, batches, epoch, step));
      taking = null;
    } else if (taking !== null && outcome.stop) {
      yield await taking;
      taking = null;
    }
    if (outcome.stop && !plan.lastOfRun) return { step, stopped: true, restoredDigest: null };
    if (whole) await options.epochClosed(epoch);
  }
  return { step: totalSteps(config), stopped: false, restoredDigest: null };
}

/** Rejections wait until somebody asks: the generation may end before that. */
function digest(
  taking: Promise<Snapshot>,
  about: Pick<SnapshotEvent, 'epoch' | 'whole' | 'stopped'>,
): Promise<SnapshotEvent> {
  const digested = taking.then(async (snapshot): Promise<SnapshotEvent> => {
    return { kind: 'snapshot', ...about, snapshot, digests: await snapshot.digests() };
  });
  digested.catch(() => {});
  return digested;
}

/** The evaluation is under way while the digests are computed, which the compute thread has no part in. */
async function* endEpoch(
  taking: Promise<SnapshotEvent>,
  evaluating: Promise<TaskEvent>,
): AsyncGenerator<TaskEvent, void> {
  // The generation may end while the digests are awaited.
  evaluating.catch(() => {});
  try {
    yield await taking;
    yield await evaluating;
  } finally {
    await evaluating.catch(() => {});
  }
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
