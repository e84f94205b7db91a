import type { ReductionLayout } from './layout.js';

/** As in torch/nn/utils/clip_grad.py. */
const margin = 1e-6;

/**
 * What the mean gradient is multiplied by so that its Euclidean norm over all trained parameters is at most
 * `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
 *
 * Computed here and not by TensorFlow, whose sums depend on the number of threads: replicas on unlike
 * machines must find the same factor, bit for bit.
 *
 * @param units what a gradient's values in the vector are multiples of, by gradient
 */
export function clipFactor(
  vector: Float32Array,
  layout: ReductionLayout,
  units: Float32Array,
  maxNorm: number,
): number {
  const { gradients, gradientLength, tail } = layout;
  const squares = gradients.map(({ offset }, index) => {
    const end = gradients[index + 1]?.offset ?? gradientLength;
    return sumOfSquares(vector, offset, end) * units[index]! ** 2;
  });
  const norm = Math.sqrt(squares.reduce((sum, value) => sum + value, 0)) / vector[tail.weight]!;
  return Math.min(1, maxNorm / (norm + margin));
}

/** Four sums side by side: one would wait for each addition. */
function sumOfSquares(values: Float32Array, start: number, end: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let index = start;
  for (; index + 4 <= end; index += 4) {
    const [w, x, y, z] = [values[index]!, values[index + 1]!, values[index + 2]!, values[index + 3]!];
    a += w * w;
    b += x * x;
    c += y * y;
    d += z * z;
  }
  for (; index < end; index++) a += values[index]! * values[index]!;
  return a + b + c + d;
}
