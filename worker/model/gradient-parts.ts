import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { Graph } from '../tensorflow/graph.js';
import { type HandOver, handOver, runHandOver } from '../tensorflow/hand-over.js';
import { cutIntoParts } from '../tensorflow/parts.js';
import type { Feeds, Session } from '../tensorflow/session.js';
import { encodeGradients, type Grid, gridOf, type Summary } from './exact-sum.js';
import type { ReductionLayout } from './layout.js';
import { joinParts } from './reduction-graph.js';
import { summandsOf, type TrainingPass } from './training-pass.js';

/** One run of a micro-batch that ends with one part of the vector. */
export interface GradientPart {
  readonly values: HandOver;
  /** Names of the placeholders that the run reads. */
  readonly feeds: ReadonlySet<string>;
}

/** A micro-batch's vector: at once, or in parts, in their order. */
export interface GradientGraph {
  readonly whole: HandOver;
  readonly parts: readonly GradientPart[];
}

/** The reverse pass for one set of trainable parameters. */
export function buildGradientGraph(
  graph: Graph,
  pass: TrainingPass,
  layout: ReductionLayout,
  trainable: Trainable,
): GradientGraph {
  return graph.scope(`gradients-${trainable}`, () => {
    const summands = summandsOf(graph, pass, layout);
    const parts = cutIntoParts(graph, `parts-${trainable}`, joinParts(layout, summands)).map(
      ({ tensor, alongside, feeds }) => ({ values: handOver(graph, 'part', tensor, alongside), feeds }),
    );
    if (parts.length === 1) return { whole: parts[0]!.values, parts };
    const all = { ...layout, parts: [{ start: 0, end: layout.length }] };
    return { whole: handOver(graph, 'whole', joinParts(all, summands)[0]!), parts };
  });
}

/** What a micro-batch of a sum is fed, and its place among the step's. */
export interface Summand {
  readonly microBatch: number;
  readonly feeds: Feeds;
}

/** A sum over micro-batches under way. */
export interface RunningSum {
  readonly layout: ReductionLayout;
  readonly grid: Grid;
  /** How many micro-batches the step has on all ranks. */
  readonly count: number;
  /** Whole, and where kernels reach them: what is reduced, and this rank's own part of it, which outlives that. */
  readonly vector: Float32Array;
  readonly own: Float32Array;
  /** As a Summary's, of the micro-batches so far. */
  readonly largest: Float32Array;
  readonly microBatches: number[];
  readonly rows: Float32Array[];
  /** Called before each run; throws when nobody wants the sum any more. */
  proceed(): void;
}

/**
 * @param o.largest what the grid is made for, by gradient
 * @param o.microBatches of the step, on all ranks
 */
export function beginSum(
  layout: ReductionLayout,
  o: Pick<RunningSum, 'vector' | 'own'> & {
    readonly microBatches: number;
    readonly largest: Float32Array;
    proceed?(): void;
  },
): RunningSum {
  const { vector, own, microBatches: count, proceed = () => {} } = o;
  const largest = new Float32Array(layout.gradients.length);
  const grid = gridOf(o.largest, count);
  return { layout, grid, count, vector, own, largest, microBatches: [], rows: [], proceed };
}

export function summarize({ layout, largest, microBatches, rows }: RunningSum): Summary {
  const rowLength = layout.length - layout.gradientLength;
  const joined = new Float32Array(rows.length * rowLength);
  for (const [index, row] of rows.entries()) joined.set(row, index * rowLength);
  return { largest, microBatches: [...microBatches], rows: joined };
}

/**
 * Runs part `part` of a sum, to which `summands` are added, so that the vector holds the gradients of that part on the
 * grid afterwards. The first part is asked for first; it computes all micro-batches but the last one.
 */
export function runPart(
  session: Session,
  gradient: GradientGraph,
  part: number,
  summands: readonly Summand[],
  sum: RunningSum,
): void {
  const { layout, vector, own, rows } = sum;
  const place = layout.parts[part]!;
  const last = summands.at(-1);
  if (last === undefined) {
    if (rows.length === 0) vector.fill(0, place.start, place.end);
    else vector.set(own.subarray(place.start, place.end), place.start);
    return;
  }
  if (part === 0) addWhole(session, gradient, summands.slice(0, -1), sum);
  const { values, feeds } = gradient.parts[part]!;
  sum.proceed();
  const needed = Object.fromEntries(Object.entries(last.feeds).filter(([name]) => feeds.has(name)));
  runHandOver(session, values, needed, vector.subarray(place.start, place.end));
  addValues(sum, last, place, false);
}

/**
 * Runs a whole sum over micro-batches, at least one, so that the vector holds it afterwards as a ring leaves it:
 * for a rank that has nobody to add it up with.
 */
export function runAlone(
  session: Session,
  gradient: GradientGraph,
  summands: readonly Summand[],
  sum: RunningSum,
): void {
  assert(summands.length > 0, 'a worker that is alone computes every micro-batch');
  addWhole(session, gradient, summands, sum, summands.length - 1);
}

/** @param last which of them completes the sum */
function addWhole(
  session: Session,
  gradient: GradientGraph,
  summands: readonly Summand[],
  sum: RunningSum,
  last?: number,
): void {
  const whole = { start: 0, end: sum.layout.length };
  for (const [index, summand] of summands.entries()) {
    sum.proceed();
    runHandOver(session, gradient.whole, summand.feeds, sum.vector);
    addValues(sum, summand, whole, index === last);
  }
}

/** Takes a micro-batch's values in `range`, which lie in the vector, into the sum. */
function addValues(
  sum: RunningSum,
  { microBatch }: Summand,
  range: { readonly start: number; readonly end: number },
  finishes: boolean,
): void {
  const { layout, vector, microBatches, rows } = sum;
  // A micro-batch is counted when all of it is there.
  encodeGradients({ ...sum, adds: rows.length > 0, finishes, range });
  if (range.end < layout.length) return;
  microBatches.push(microBatch);
  rows.push(vector.slice(layout.gradientLength, layout.length));
}
