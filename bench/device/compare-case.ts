import type { Precision } from '../compute/implementation.js';
import { type CaseFigures, compareKind, type Kind } from './figures.js';

/** How far a device's results are from the stored ones, by kind, relative. */
export interface Correctness {
  readonly precision: Precision;
  readonly kinds: readonly {
    readonly kind: Kind;
    /** Of all tensors together, and of the one that is farthest away. */
    readonly all: number;
    readonly worst: number;
    readonly where: string;
    /** Of `all`. */
    readonly bound: number;
    readonly met: boolean;
  }[];
}

/**
 * What rounding may do. float32's factors have 24 bits, TF32's 11, bfloat16's 8. A gradient crosses 36 layers
 * twice, and a ReLU whose input lies within the rounding of zero may fall on its other side: that alone moves
 * float32's gradients by 1e-2 here, on a CPU too, and bfloat16's by 0.6. Results that have nothing to do with
 * each other are 1.4 apart. The first update of Adam moves each parameter by the learning rate, whatever its
 * gradient: an update left out, or one in the other direction, is 5e-2 away.
 */
const bounds: Readonly<Record<Precision, Readonly<Record<Kind, number>>>> = {
  float32: { gradients: 5e-2, statistics: 1e-4, parameters: 5e-3, running: 1e-5, evaluation: 1e-3 },
  tf32: { gradients: 0.3, statistics: 1e-2, parameters: 2e-2, running: 1e-3, evaluation: 5e-2 },
  bfloat16: { gradients: 1, statistics: 5e-2, parameters: 4e-2, running: 1e-2, evaluation: 0.3 },
};

export function compareCase(precision: Precision, found: CaseFigures, stored: CaseFigures): Correctness {
  const kinds = (Object.keys(stored) as Kind[]).map((kind) => {
    const distances = compareKind(found[kind], stored[kind]);
    const bound = bounds[precision][kind];
    return { kind, ...distances, bound, met: distances.all <= bound };
  });
  return { precision, kinds };
}
