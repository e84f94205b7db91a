import type { ReductionLayout } from './layout.js';

/** As in torch/nn/utils/clip_grad.py. */
const margin = 1e-6;

/**
 * What the mean gradient is multiplied by so that its Euclidean norm over all trained parameters is at most
 * `maxNorm`: min(1, maxNorm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
 *
 * Computed here and not by TensorFlow, whose sums depend on the number of threads: replicas on unlike
 * machines must find the same factor, bit for bit.
 */
export function clipFactor(vector: Float32Array, layout: ReductionLayout, maxNorm: number): number {
  const norm = Math.sqrt(sumOfSquares(vector, layout.exactFrom)) / vector[layout.tail.weight]!;
  return Math.min(1, maxNorm / (norm + margin));
}

/** Four sums side by side: one would wait for each addition. */
function sumOfSquares(values: Float32Array, end: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let index = 0;
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
