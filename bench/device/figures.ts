import { z } from 'zod';

/** Random sums of a tensor's values; their differences say how far two tensors are apart. */
const projectionCount = 8;

const figuresSchema = z.object({
  norm: z.number(),
  projections: z.array(z.number()).length(projectionCount),
});

/** A tensor in nine numbers: its Euclidean norm, and sums of its values with random signs. */
export type TensorFigures = z.infer<typeof figuresSchema>;

const byName = z.record(z.string(), figuresSchema);

/** What a case computes, by kind and tensor. */
export const caseSchema = z.object({
  /** Sums of both micro-batches, before the update. */
  gradients: byName,
  statistics: byName,
  /** The state after it. */
  parameters: byName,
  running: byName,
  /** Of the first micro-batch before the update, normalised by the batches' own statistics. */
  evaluation: byName,
});

export type CaseFigures = z.infer<typeof caseSchema>;
export type Kind = keyof CaseFigures;

/** The signs depend on the tensor's name and nothing else. */
export function figuresOf(name: string, values: ArrayLike<number>): TensorFigures {
  const projections = new Float64Array(projectionCount);
  let word = 0x9e3779b9;
  for (const byte of Buffer.from(name)) word = Math.imul(word ^ byte, 0x01000193);
  word |= 1;
  let squares = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]!;
    squares += value * value;
    // Marsaglia's xorshift: a new word of signs for each value.
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    for (let k = 0; k < projectionCount; k += 1) {
      projections[k]! += (word >>> (k + 8)) & 1 ? value : -value;
    }
  }
  return { norm: Math.sqrt(squares), projections: [...projections] };
}

/**
 * An estimate of ‖found − expected‖ / ‖expected‖: the square of a sum with random signs is, on average, the
 * sum of squares. With eight sums it is right within a third, two times out of three. NaN where anything is
 * not finite.
 */
export function relativeDistance(found: TensorFigures, expected: TensorFigures): number {
  let squares = 0;
  for (const [k, value] of expected.projections.entries()) squares += (found.projections[k]! - value) ** 2;
  const distance = Math.sqrt(squares / projectionCount);
  return distance === 0 ? 0 : distance / expected.norm;
}

/** The same of all tensors of a kind together, and of the one that is farthest away. */
export function compareKind(
  found: CaseFigures[Kind],
  expected: CaseFigures[Kind],
): { readonly all: number; readonly worst: number; readonly where: string } {
  let [squares, norms, worst, where] = [0, 0, 0, ''];
  for (const [name, figures] of Object.entries(expected)) {
    const own = found[name] === undefined ? Number.NaN : relativeDistance(found[name], figures);
    squares += (own * figures.norm) ** 2;
    norms += figures.norm ** 2;
    // Not `>`: NaN must win, and be kept.
    if (!(own <= worst) && !Number.isNaN(worst)) [worst, where] = [own, name];
  }
  return { all: Math.sqrt(squares / norms), worst, where };
}
