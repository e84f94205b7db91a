import { allocateShared } from '../../../runtime/shared-buffer.js';
import { volume } from '../../../worker/model/parameters.js';
import type { ImageBatch, StateLayout } from '../../../worker/model/program.js';
import { randomValues } from './random-values.js';

/** A plausible state: weights in a trainable size, moments zero. */
export function plausibleState(layout: StateLayout, seed = 1): Float32Array {
  const state = new Float32Array(allocateShared(4 * layout.length), 0, layout.length);
  [...layout.parameters, ...layout.statistics].forEach(({ name, shape, offset }, index) => {
    const values = randomValues(volume(shape), seed * 1000 + index);
    const fanIn = volume(shape.slice(1));
    const [centre, scale] =
      shape.length > 1
        ? [0, Math.sqrt(6 / fanIn)]
        : /\.(weight|running_var)$/.test(name)
          ? [1, 0.1]
          : [0, 0.1];
    state.set(
      values.map((value) => centre + scale * value),
      offset,
    );
  });
  return state;
}

/** Noise images of `presize`, cropped to `size`. */
export function noiseBatch(count: number, presize: number, classes: number, seed = 1): ImageBatch {
  const values = randomValues(count * presize * presize * 3, seed);
  return {
    pixels: Uint8Array.from(values, (value) => Math.round((value + 1) * 127.5)),
    labels: Int32Array.from({ length: count }, (_, index) => (index * 7 + seed) % classes),
    transforms: Float32Array.from({ length: 8 * count }, (_, index) =>
      index % 8 === 0 || index % 8 === 4 ? 1 : 0,
    ),
    lighting: Float32Array.from({ length: 2 * count }, (_, index) => index % 2),
  };
}
