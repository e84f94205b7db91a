import { openStream, type RandomStream } from './random.js';

/** With whom, and in what proportion, each sample of a micro-batch is mixed. */
export interface Mixup {
  /** By place: the sample's own share λ, ½ to 1; its partner has the rest. */
  readonly shares: Float32Array;
  /** By place: where in the micro-batch the partner stands; a permutation. */
  readonly partners: Int32Array;
}

/**
 * Mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018) as in fastai v1
 * (callbacks/mixup.py): a λ of Beta(alpha, alpha) for each sample, replaced by 1 − λ where that is larger, so
 * that no mixture is drawn twice, and a permutation of partners. A pure function of (seed, step,
 * micro-batch): whichever rank computes it, it is the same.
 */
export function drawMixup(
  alpha: number,
  seed: number,
  { step, microBatch, count }: { step: number; microBatch: number; count: number },
): Mixup {
  const stream = openStream(seed, 'mixup', step, microBatch);
  const partners = Int32Array.from({ length: count }, (_, place) => place);
  for (let last = count - 1; last > 0; last -= 1) {
    const chosen = stream.below(last + 1);
    const partner = partners[chosen]!;
    partners[chosen] = partners[last]!;
    partners[last] = partner;
  }
  const shares = Float32Array.from({ length: count }, () => {
    const share = drawBeta(stream, alpha);
    return Math.max(share, 1 - share);
  });
  return { shares, partners };
}

/**
 * Beta(alpha, alpha): a / (a + b) of two gamma variates, from their logarithms, because a small alpha's
 * underflow.
 */
function drawBeta(stream: RandomStream, alpha: number): number {
  const [a, b] = [drawLogGamma(stream, alpha), drawLogGamma(stream, alpha)];
  return 1 / (1 + Math.exp(b - a));
}

/**
 * The logarithm of a Gamma(shape, 1) variate: Marsaglia and Tsang, "A simple method for generating gamma
 * variables" (2000), for shape + 1, brought down by U^(1/shape).
 */
function drawLogGamma(stream: RandomStream, shape: number): number {
  const d = shape + 1 - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = drawNormal(stream);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(positiveUnit(stream)) < (x * x) / 2 + d - d * v + d * Math.log(v)) {
      return Math.log(d * v) + Math.log(positiveUnit(stream)) / shape;
    }
  }
}

/** Box and Muller's transform. */
function drawNormal(stream: RandomStream): number {
  return Math.sqrt(-2 * Math.log(positiveUnit(stream))) * Math.cos(2 * Math.PI * stream.unit());
}

/** Uniform in (0, 1]. */
function positiveUnit(stream: RandomStream): number {
  return 1 - stream.unit();
}
