import type { Trainable } from '../../plan/run-config.js';
import type { Graph, Tensor } from '../tensorflow/graph.js';
import { type HandOver, handOver, runHandOver } from '../tensorflow/hand-over.js';
import { add } from '../tensorflow/ops/arithmetic.js';
import { assign, assignAdd, done, read, variable } from '../tensorflow/ops/variables.js';
import { cutIntoParts } from '../tensorflow/parts.js';
import type { Feeds, Session } from '../tensorflow/session.js';
import type { ReductionLayout } from './layout.js';
import { joinParts } from './reduction-graph.js';
import { summandsOf, type TrainingPass } from './training-pass.js';

/** One run of the last micro-batch: it ends with one part of the vector. */
export interface GradientPart {
  /** When there was no other micro-batch, and when there was. */
  readonly only: HandOver;
  readonly last: HandOver;
  /** Names of the placeholders that the run reads. */
  readonly feeds: ReadonlySet<string>;
}

/**
 * Entry points for a sum over micro-batches: `started`, then `added`, for all but the last one; its `parts`,
 * in order.
 */
export interface GradientGraph {
  readonly started: Tensor<'int32'>;
  readonly added: Tensor<'int32'>;
  readonly parts: readonly GradientPart[];
}

/** The reverse pass for one set of trainable parameters, and the vector that ranks add up. */
export function buildGradientGraph(
  graph: Graph,
  pass: TrainingPass,
  layout: ReductionLayout,
  trainable: Trainable,
): GradientGraph {
  return graph.scope(`gradients-${trainable}`, () => {
    const vectors = joinParts(graph, layout, summandsOf(graph, pass, layout));
    const accumulated = vectors.map(({ shape }, part) =>
      variable(graph, `accumulated/${trainable}/${part}`, 'float32', shape),
    );
    const parts = cutIntoParts(graph, `parts-${trainable}`, vectors);
    return {
      started: done(
        graph,
        'started',
        vectors.map((vector, part) => assign(accumulated[part]!, vector)),
      ),
      added: done(
        graph,
        'added',
        vectors.map((vector, part) => assignAdd(accumulated[part]!, vector)),
      ),
      parts: parts.map(({ tensor, alongside, feeds }, part) => ({
        only: handOver(graph, 'only', tensor, alongside),
        last: handOver(graph, 'last', add(read(accumulated[part]!), tensor), alongside),
        feeds,
      })),
    };
  });
}

/**
 * Runs part `part` of a sum over micro-batches, given what each is fed, so that `into` holds it afterwards.
 */
export function runPart(
  session: Session,
  gradient: GradientGraph,
  part: number,
  batches: readonly Feeds[],
  into: Float32Array,
): void {
  const last = batches.at(-1);
  if (last === undefined) return void into.fill(0);
  const earlier = part === 0 ? batches.slice(0, -1) : [];
  earlier.forEach((feeds, index) => {
    session.run(feeds, { done: index === 0 ? gradient.started : gradient.added });
  });
  const run = gradient.parts[part]!;
  const needed = Object.entries(last).filter(([name]) => run.feeds.has(name));
  runHandOver(session, batches.length === 1 ? run.only : run.last, Object.fromEntries(needed), into);
}
