import { drawMixup } from '../../../plan/mixup.js';
import type { ImageBatch, Placed, ProgramOptions } from '../../../worker/model/program.js';
import { noiseBatch } from './model-state.js';

/** A step's micro-batches of so many noise images each, mixed where the program mixes. */
export function keyedBatches(
  { presize, classes, mixup }: ProgramOptions,
  counts: readonly number[],
  step = 1,
): Placed<ImageBatch>[] {
  return counts.map((count, microBatch) => {
    const batch = noiseBatch(count, presize, classes, 10 * step + microBatch);
    const key = [step, microBatch] as const;
    const keyed = { batch, microBatch, key };
    return mixup ? { ...keyed, mixup: drawMixup(0.4, 1, { step, microBatch, count }) } : keyed;
  });
}
