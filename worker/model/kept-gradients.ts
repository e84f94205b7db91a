import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { Graph, Node, Tensor } from '../tensorflow/graph.js';
import { finite } from '../tensorflow/ops/arithmetic.js';
import { concat, reshape } from '../tensorflow/ops/arrays.js';
import { identity } from '../tensorflow/ops/convert.js';
import { all } from '../tensorflow/ops/reductions.js';
import { assign, assignAdd, read, type Variable, variable } from '../tensorflow/ops/variables.js';
import type { Feeds, Session } from '../tensorflow/session.js';
import type { ReductionLayout } from './layout.js';
import { type Reduced, takeApart } from './reduction-graph.js';
import { summandsOf, type TrainingPass } from './training-pass.js';

/**
 * A sum over micro-batches that stays in the session, where the update finds it: for a worker that has nobody to add it up
 * with. The first micro-batch has it `started`, each other one is `added`; both answer that micro-batch's own tail.
 */
export interface KeptGradients {
  readonly started: Tensor<'float32'>;
  readonly added: Tensor<'float32'>;
}

/**
 * Gradients and statistics that are kept, and an update's view of them.
 *
 * @param layouts.summed what is kept; its places mean nothing
 * @param layouts.tail of the vector that is fed to the update
 */
export function keepGradients(
  graph: Graph,
  pass: TrainingPass,
  layouts: { readonly summed: ReductionLayout; readonly tail: ReductionLayout },
  trainable: Trainable,
): { gradient: KeptGradients; reduced: Reduced } {
  return graph.scope(`kept-${trainable}`, () => {
    const { gradients, statistics, tail } = summandsOf(graph, pass, layouts.summed);
    const values = [...gradients, ...statistics];
    const specs = [...layouts.summed.gradients, ...layouts.summed.statistics];
    const kept = specs.map(({ name, shape }) =>
      variable(graph, `kept/${trainable}/${name}`, 'float32', shape),
    );
    const tailAfter = (update: (target: Variable, value: Tensor<'float32'>) => Node) =>
      graph.after(
        kept.map((target, index) => update(target, values[index]!)),
        () => identity(tail),
      );
    const sums = kept.map(read);
    const fed = takeApart(graph, layouts.tail);
    const judged = [fed.finite, ...sums.map((value) => all(finite(value)))];
    return {
      gradient: { started: tailAfter(assign), added: tailAfter(assignAdd) },
      reduced: {
        ...fed,
        gradients: sums.slice(0, gradients.length),
        statistics: sums.slice(gradients.length),
        finite: all(
          concat(
            judged.map((one) => reshape(one, [1])),
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
