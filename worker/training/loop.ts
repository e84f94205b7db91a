import { stepsPerEpoch, totalSteps } from '../../plan/phases.js';
import { evaluateShare } from './evaluate.js';
import { takeSteps } from './step-sequence.js';
import type { TaskEvent, TaskOptions, TaskRun } from './task.js';

/**
 * Trains from `startStep` on: the steps, a snapshot and this rank's share of the validation set after every
 * epoch, and first of all where those of the epoch before are still due. `stopped` when the ranks agreed to
 * end before the last step.
 */
export async function* train(options: TaskOptions): TaskRun {
  const { config, startStep, snapshots } = options;
  if (options.epochEndDue) {
    const epoch = startStep / stepsPerEpoch(config) - 1;
    yield { kind: 'snapshot', epoch, whole: true, snapshot: await snapshots.hold(startStep) };
    yield await evaluate(options, epoch, startStep);
  }
  for await (const event of takeSteps(options)) {
    yield event;
    const { plan, outcome } = event;
    const step = plan.step + 1;
    if (plan.lastOfEpoch || outcome.stop) {
      const snapshot = await snapshots.take(step);
      yield { kind: 'snapshot', epoch: plan.epoch, whole: plan.lastOfEpoch, snapshot };
    }
    if (plan.lastOfEpoch) yield await evaluate(options, plan.epoch, step);
    if (outcome.stop && !plan.lastOfRun) return { step, stopped: true, restoredDigest: null };
  }
  return { step: totalSteps(config), stopped: false, restoredDigest: null };
}

async function evaluate(options: TaskOptions, epoch: number, step: number): Promise<TaskEvent> {
  const { config, compute, loader, signal } = options;
  const share = await evaluateShare(config, options, compute, loader, signal);
  return { kind: 'evaluation', epoch, step, share };
}
