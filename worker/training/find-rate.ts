import { createRangeTest } from '../../plan/range-test.js';
import { openTaskBatches, takeSteps } from './step-sequence.js';
import type { TaskOptions, TaskRun } from './task.js';

/**
 * A learning-rate range test. Every rank follows the same reduced losses, so all end at the same step; then
 * weights, statistics and moments are what they were before, bit for bit, and the digest of what the network
 * now holds says so.
 */
export async function* findRate(options: TaskOptions): TaskRun {
  const { startStep, snapshots } = options;
  const test = createRangeTest();
  const restore = await keepState(options);
  let end = { step: startStep, stopped: false };
  const batches = openTaskBatches(options);
  try {
    for await (const event of takeSteps(options, batches)) {
      yield event;
      const { plan, outcome } = event;
      const { diverged } = test.add(outcome);
      end = { step: plan.step + 1, stopped: outcome.stop && !diverged && !plan.lastOfRun };
      if (diverged || outcome.stop) break;
    }
  } finally {
    await batches.close();
  }
  await restore();
  // Of the state as it is read back out of the network, not of what was put in.
  const { state } = await (await snapshots.take(startStep)).digests();
  return { ...end, restoredDigest: state };
}

/** Returns what puts the state back to what it is now. */
async function keepState({ snapshots, startStep, compute }: TaskOptions): Promise<() => Promise<void>> {
  await snapshots.take(startStep);
  const kept = snapshots.lend(startStep)!;
  return async () => {
    await compute.load(kept.snapshot.values);
    kept.giveBack();
  };
}
