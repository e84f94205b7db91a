import { openBatches } from './batches.js';
import { evaluateShare, evaluationRequests } from './evaluate.js';
import { findRate } from './find-rate.js';
import { train } from './loop.js';
import type { TaskOptions, TaskRun } from './task.js';

/** This rank's part of what the run's configuration asks for. */
export function performTask(options: TaskOptions): TaskRun {
  switch (options.config.task.kind) {
    case 'train':
      return train(options);
    case 'lr-find':
      return findRate(options);
    case 'evaluate':
      return evaluateOnce(options);
  }
}

/** This rank's share of the validation set, in the state that the generation began with. */
async function* evaluateOnce(options: TaskOptions): TaskRun {
  const { config, startStep: step, compute, loader, signal } = options;
  const batches = openBatches(loader, evaluationRequests(config, step, options), { held: 1, signal });
  const evaluating = evaluateShare(config, step, options, compute, batches);
  const share = await evaluating.finally(() => batches.close());
  yield { kind: 'evaluation', epoch: 0, step, share };
  return { step, stopped: false, restoredDigest: null };
}
