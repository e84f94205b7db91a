import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { SumMemory } from '../../worker/arithmetic/reduction-vector.js';
import type { Batch } from '../../worker/model/batch.js';
import type { Keyed, Program } from '../../worker/model/program.js';

/**
 * The sum over a step's micro-batches as a worker that is alone forms it, in `memory.vector`: what its
 * gradients are multiples of, their largest magnitudes, and whether all is finite.
 */
export function sumAlone<B extends Batch>(
  program: Program<B>,
  { vector, own }: Pick<SumMemory, 'vector' | 'own'>,
  batches: readonly Keyed<B>[],
  trainable: Trainable,
): ReturnType<Program<B>['finishSum']> {
  const placed = batches.map((keyed, microBatch) => ({ ...keyed, microBatch }));
  const sumFor = (largest: Float32Array | null) => {
    const request = { trainable, microBatches: batches.length, largest, vector, own };
    return program.finishSum([program.sumAlone(placed, request)]);
  };
  const first = sumFor(null);
  if (first.verdict !== 'overflow') return first;
  const second = sumFor(first.largest);
  assert(second.verdict !== 'overflow', 'gradients differ from one time to the next');
  return second;
}
