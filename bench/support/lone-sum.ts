import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { SumMemory } from '../../worker/arithmetic/reduction-vector.js';
import { passSegment } from '../../worker/collective/pass-segment.js';
import type { Batch } from '../../worker/model/batch.js';
import type { Keyed, Program } from '../../worker/model/program.js';

/**
 * The sum over a step's micro-batches as a worker that is alone forms it, in `memory.vector`: what its
 * gradients are multiples of, their largest magnitudes, and whether all is finite.
 */
export function sumAlone<B extends Batch>(
  program: Program<B>,
  memory: Pick<SumMemory, 'vector' | 'scratch'>,
  batches: readonly Keyed<B>[],
  trainable: Trainable,
): ReturnType<Program<B>['finishSum']> {
  const first = tryToSum(program, memory, batches, trainable, null);
  if (first.verdict !== 'overflow') return first;
  const second = tryToSum(program, memory, batches, trainable, first.largest);
  assert(second.verdict !== 'overflow', 'gradients differ from one time to the next');
  return second;
}

function tryToSum<B extends Batch>(
  program: Program<B>,
  { vector, scratch }: Pick<SumMemory, 'vector' | 'scratch'>,
  batches: readonly Keyed<B>[],
  trainable: Trainable,
  largest: Float32Array | null,
) {
  const { parts, gradientLength } = program.reduction(trainable);
  const request = { trainable, microBatches: batches.length, largest, vector, scratch };
  const summaries = parts.map((_, part) => program.gradientPart(part, batches, request));
  const whole = { vector, offset: 0, count: gradientLength, wire: 'float32' } as const;
  passSegment({ ...whole, role: 'finish' }, null, null);
  return program.finishSum([summaries.at(-1)!]);
}
