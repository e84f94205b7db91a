import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { finite, multiply } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape } from '../tensorflow/ops/arrays.js';
import { identity } from '../tensorflow/ops/convert.js';
import { all } from '../tensorflow/ops/reductions.js';
import { assign, assignAdd, read, type Variable, variable } from '../tensorflow/ops/variables.js';
import { rowLength } from '../tensorflow/rows.js';
import type { Feeds, Session } from '../tensorflow/session.js';
import { type ReductionLayout, rowsOf } from './layout.js';
import { cutUp, joinParts, type Reduced, takeApart } from './reduction-graph.js';
import { summandsOf, type TrainingPass } from './training-pass.js';

/**
 * A sum over micro-batches that stays in the session, where the update finds it: for a worker that has nobody
 * to add it up with. The first micro-batch has it `started`, each other one is `added`; both answer that
 * micro-batch's own tail.
 */
export interface KeptGradients {
  readonly started: Tensor<'float32'>;
  readonly added: Tensor<'float32'>;
}

/**
 * Gradients and statistics that are kept, and an update's view of them: a variable for each, which takes over
 * the memory of what the backward pass computes; or `atOnce` (as `cutUp` has it) one for all of them, which
 * are joined for it.
 *
 * @param layouts.summed what is kept
 * @param layouts.tail of the vector that is fed to the update
 */
export function keepGradients(
  graph: Graph,
  pass: TrainingPass,
  layouts: { readonly summed: ReductionLayout; readonly tail: ReductionLayout },
  { trainable, atOnce }: { trainable: Trainable; atOnce: boolean },
): { gradient: KeptGradients; reduced: Reduced } {
  return graph.scope(`kept-${trainable}`, () => {
    const { summed, tail } = layouts;
    const summands = summandsOf(graph, pass, summed);
    const rows = [rowsOf(summed.length), rowLength];
    const values = atOnce
      ? [reshape(joinParts(graph, summed, summands)[0]!, rows)]
      : [...summands.gradients, ...summands.statistics];
    const kept = values.map(({ shape }, index) =>
      variable(graph, `kept/${trainable}/${index}`, 'float32', shape),
    );
    const tailAfter = (update: (target: Variable, value: Tensor<'float32'>) => Node) =>
      graph.after(
        kept.map((target, index) => update(target, values[index]!)),
        () => identity(summands.tail),
      );
    const sums = kept.map(read);
    const fed = takeApart(graph, tail);
    const checks = [fed.finite, ...sums.map((value) => all(finite(value)))];
    const count = summed.gradients.length;
    const viewed = atOnce
      ? cutUp(summed, sums[0]!, atOnce)
      : {
          scaledGradients: (factor: Tensor<'float32'>) =>
            sums.slice(0, count).map((sum) => multiply(sum, factor)),
          statistics: sums.slice(count),
        };
    return {
      gradient: { started: tailAfter(assign), added: tailAfter(assignAdd) },
      reduced: {
        ...viewed,
        vector: fed.vector,
        tail: fed.tail,
        finite: all(
          concat(
            checks.map((one) => reshape(one, [1])),
            0,
          ),
        ),
      },
    };
  });
}

/** Sums over micro-batches, given what each is fed; `into` is then the sum of their tails. */
export function runKept(
  session: Session,
  { started, added }: KeptGradients,
  batches: readonly Feeds[],
  into: Float32Array,
): void {
  assert(batches.length > 0, 'a worker that is alone computes every micro-batch');
  into.fill(0);
  batches.forEach((feeds, index) => {
    const { tail } = session.run(feeds, { tail: index === 0 ? started : added });
    tail.forEach((value, place) => {
      into[place]! += value;
    });
  });
}
