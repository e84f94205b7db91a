import assert from 'node:assert/strict';
import type { ReductionLayout } from './layout.js';
import { volume } from './parameters.js';

/** A parameter's summed gradient out of a reduction vector, in PyTorch's layout. */
export function gradientOf(
  layout: ReductionLayout,
  vector: Float32Array,
  name: string,
): { shape: readonly number[]; values: Float32Array } {
  const found = layout.gradients.find((gradient) => gradient.name === name);
  assert(found !== undefined, `the vector has no gradient of ${name}`);
  const held = vector.subarray(found.offset, found.offset + volume(found.shape));
  const [height, width, input, output] = found.shape;
  if (found.shape.length !== 4) return { shape: found.shape, values: held.slice() };
  const values = new Float32Array(held.length);
  const places = height! * width!;
  for (let o = 0; o < output!; o++) {
    for (let i = 0; i < input!; i++) {
      for (let place = 0; place < places; place++) {
        values[(o * input! + i) * places + place] = held[(place * input! + i) * output! + o]!;
      }
    }
  }
  return { shape: [output!, input!, height!, width!], values };
}
