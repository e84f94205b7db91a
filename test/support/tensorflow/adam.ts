/** Adam with decoupled weight decay, as PyTorch writes it, for one parameter over some steps; β2 is 0.99. */
export function adam(
  value: number,
  gradients: readonly number[],
  { rate, momentum, weightDecay }: { rate: number; momentum: number; weightDecay: number },
): number {
  let [p, m, v] = [value, 0, 0];
  gradients.forEach((gradient, index) => {
    const step = index + 1;
    p *= 1 - rate * weightDecay;
    m = momentum * m + (1 - momentum) * gradient;
    v = 0.99 * v + 0.01 * gradient * gradient;
    const corrected = Math.sqrt(v) / Math.sqrt(1 - 0.99 ** step) + 1e-8;
    p -= (rate / (1 - momentum ** step)) * (m / corrected);
  });
  return p;
}
