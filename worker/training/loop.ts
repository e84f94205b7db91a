import { totalSteps } from '../../plan/phases.js';
import { evaluateShare } from './evaluate.js';
import { takeSteps } from './step-sequence.js';
import type { TaskOptions, TaskRun } from './task.js';

/**
 * Trains from `startStep` on: the steps, a snapshot and this rank's share of the validation set after every
 * epoch. `stopped` when the ranks agreed to end before the last step.
 */
export async function* train(options: TaskOptions): TaskRun {
  const { config, compute, loader, snapshots, signal } = options;
  for await (const event of takeSteps(options)) {
    yield event;
    const { plan, outcome } = event;
    const step = plan.step + 1;
    if (plan.lastOfEpoch || outcome.stop) {
      const snapshot = await snapshots.take(step);
      yield { kind: 'snapshot', epoch: plan.epoch, whole: plan.lastOfEpoch, snapshot };
    }
    if (plan.lastOfEpoch) {
      const share = await evaluateShare(config, options, compute, loader, signal);
      yield { kind: 'evaluation', epoch: plan.epoch, step, share };
    }
    if (outcome.stop && !plan.lastOfRun) return { step, stopped: true, restoredDigest: null };
  }
  return { step: totalSteps(config), stopped: false, restoredDigest: null };
}
