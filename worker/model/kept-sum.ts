import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { abs, finite, multiply, round } from '../tensorflow/ops/arithmetic.js';
import { gather, reshape, segmentMax } from '../tensorflow/ops/arrays.js';
import { cast, identity } from '../tensorflow/ops/convert.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { all, max } from '../tensorflow/ops/reductions.js';
import { assign, assignAdd, read, variable } from '../tensorflow/ops/variables.js';
import { rowLength } from '../tensorflow/rows.js';
import type { Session } from '../tensorflow/session.js';
import { type ParameterBlock, rowsOf } from './blocks.js';
import type { RunningSum, Summand } from './gradient-parts.js';
import type { ReductionLayout } from './layout.js';
import { joinParts, ownersOf, type Reduced, scaleBlocks, splitStatistics } from './reduction-graph.js';
import { summandsOf, type TrainingPass } from './training-pass.js';

/** What is fetched of one micro-batch. */
interface Told {
  readonly rows: Tensor<'float32'>;
  /** Of each gradient; what it is where not all are finite depends on the device. */
  readonly largest: Tensor<'float32'>;
  readonly finite: Tensor<'bool'>;
}

/**
 * A sum over micro-batches on the grid (exact-sum.ts) that stays on a GPU, where the update finds it: for a
 * worker that has nobody to add it up with, and would carry 4 bytes per parameter to the host and back. Sums of
 * integers below 2^31 are exact in float64 as in int32, which a GPU does not add up. The first micro-batch has
 * it `started`, each other one is `added`.
 */
export interface KeptSum {
  /** Name of the placeholder of the grid's scales. */
  readonly scales: string;
  readonly started: Told;
  readonly added: Told;
}

/** The sum, and an update's view of it, which is fed the rest of the vector. */
export function keepSum(
  graph: Graph,
  pass: TrainingPass,
  layout: ReductionLayout,
  { trainable, blocks }: { trainable: Trainable; blocks: readonly ParameterBlock[] },
): { sum: KeptSum; reduced: Reduced } {
  return graph.scope(`kept-${trainable}`, () => {
    const { gradientLength, gradients, length } = layout;
    const parts = [
      { start: 0, end: gradientLength },
      { start: gradientLength, end: length },
    ];
    const [joined, told] = joinParts({ ...layout, parts }, summandsOf(graph, pass, layout));
    const rows = reshape(joined!, [rowsOf(gradientLength), rowLength]);
    const scales = placeholder(graph, 'scales', 'float32', [gradients.length]);
    const owners = ownersOf(graph, layout);
    const scaled = multiply(rows, reshape(gather(scales, owners), [null, 1]));
    const encoded = cast(round(scaled), 'float64');
    const kept = variable(graph, `kept/${trainable}`, 'float64', encoded.shape);
    const after = (update: typeof assign | typeof assignAdd): Told =>
      graph.after([update(kept, encoded)], () => ({
        rows: identity(told!),
        largest: segmentMax(max(abs(rows), [1]), owners, gradients.length),
        finite: all(finite(rows)),
      }));
    const vector = placeholder(graph, 'told', 'float32', [rowsOf(length - gradientLength), rowLength]);
    return {
      sum: { scales: scales.node.name, started: after(assign), added: after(assignAdd) },
      reduced: {
        vector,
        ...scaleBlocks(graph, { layout, blocks }, cast(read(kept), 'float32')),
        ...splitStatistics(layout, vector),
      },
    };
  });
}

/** Runs a whole sum over micro-batches, at least one, given what each is fed. */
export function runKept(
  session: Session,
  { scales, started, added }: KeptSum,
  summands: readonly Summand[],
  { grid, largest, microBatches, rows }: RunningSum,
): void {
  assert(summands.length > 0, 'a worker that is alone computes every micro-batch');
  for (const [index, { microBatch, feeds }] of summands.entries()) {
    const found = session.run({ ...feeds, [scales]: grid.scales }, { ...(index === 0 ? started : added) });
    microBatches.push(microBatch);
    rows.push(found.rows);
    for (const [gradient, value] of found.largest.entries()) {
      largest[gradient] = found.finite[0] === 1 ? Math.max(largest[gradient]!, value) : Number.NaN;
    }
  }
}
