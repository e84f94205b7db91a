import { drawAugmentation, lighting, projectiveTransform } from '../../plan/augmentation.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import type { ImageBatch, Keyed } from '../../worker/model/program.js';
import { uniformNumbers } from '../parity/formula.js';

/** Two micro-batches of it are a step. */
const microBatch = 8;
const seed = 1;

/** The same micro-batches on every machine: smooth pictures, augmented as a run's first epoch would be. */
export function caseBatches(presize: number, size: number, classes: number): Keyed<ImageBatch>[] {
  return [0, 1].map((index) => ({ batch: pictures(index, { presize, size, classes }), key: [seed, index] }));
}

/**
 * Sums of three waves per channel, of the sizes that photographs' details have; noise alone would be averaged
 * away.
 */
function pictures(
  index: number,
  { presize, size, classes }: { presize: number; size: number; classes: number },
): ImageBatch {
  const bytes = microBatch * presize ** 2 * 3;
  const pixels = new Uint8Array(allocateShared(bytes), 0, bytes);
  const samples = Array.from({ length: microBatch }, (_, place) => index * microBatch + place);
  samples.forEach((sample, place) => {
    const numbers = uniformNumbers(seed, `picture/${sample}`, 36);
    const image = pixels.subarray(place * presize ** 2 * 3, (place + 1) * presize ** 2 * 3);
    for (let p = 0; p < presize ** 2; p += 1) {
      const [x, y] = [(p % presize) / presize, Math.floor(p / presize) / presize];
      for (let channel = 0; channel < 3; channel += 1) {
        let value = 0;
        for (let wave = 0; wave < 3; wave += 1) {
          const [a, b, c, weight] = numbers.subarray(12 * channel + 4 * wave, 12 * channel + 4 * wave + 4);
          value += weight! * Math.sin(2 * Math.PI * (16 * a! * x + 16 * b! * y + c!));
        }
        image[3 * p + channel] = Math.round(127.5 + 160 * value);
      }
    }
  });
  const draws = samples.map((sample) => drawAugmentation(seed, 0, sample));
  return {
    pixels,
    labels: Int32Array.from(samples, (sample) => sample % classes),
    transforms: Float32Array.from(draws.flatMap((draw) => [...projectiveTransform(draw, 1, presize, size)])),
    lighting: Float32Array.from(draws.flatMap((draw) => lighting(draw))),
  };
}
