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

/** A sum over micro-batches under way. */
export interface RunningSum {
  readonly layout: ReductionLayout;
  readonly grid: Grid;
  /** Whole, and where kernels reach them: what the sum is written to, and room for one more micro-batch. */
  readonly vector: Float32Array;
  readonly scratch: Float32Array;
  /** As a Summary's, of the micro-batches so far. */
  readonly largest: Float32Array;
  readonly rows: Float32Array[];
  /** Called before each run; throws when nobody wants the sum any more. */
  proceed(): void;
}

/** @param o.largest what the grid is made for, by gradient */
export function beginSum(
  layout: ReductionLayout,
  o: Pick<RunningSum, 'vector' | 'scratch'> & {
    readonly microBatches: number;
    readonly largest: Float32Array;
    proceed?(): void;
  },
): RunningSum {
  const { vector, scratch, proceed = () => {} } = o;
  const grid = gridOf(o.largest, o.microBatches);
  const largest = new Float32Array(layout.gradients.length);
  return { layout, grid, vector, scratch, largest, rows: [], proceed };
}

export function summarize({ layout, largest, rows }: RunningSum): Summary {
  const rowLength = layout.length - layout.gradientLength;
  const joined = new Float32Array(rows.length * rowLength);
  for (const [index, row] of rows.entries()) joined.set(row, index * rowLength);
  return { largest, rows: joined };
}

/**
 * Runs part `part` of a sum over micro-batches, given what each is fed, so that the vector holds the gradients
 * of that part on the grid afterwards. The first part is asked for first; it computes all micro-batches but the
 * last one.
 */
export function runPart(
  session: Session,
  gradient: GradientGraph,
  part: number,
  batches: readonly Feeds[],
  sum: RunningSum,
): void {
  const { layout, vector, scratch } = sum;
  const place = layout.parts[part]!;
  const last = batches.at(-1);
  if (last === undefined) return void vector.fill(0, place.start, place.end);
  if (part === 0) addWhole(session, gradient, batches.slice(0, -1), sum);
  const { values, feeds } = gradient.parts[part]!;
  const floats = batches.length === 1 ? vector : scratch;
  sum.proceed();
  const needed = Object.fromEntries(Object.entries(last).filter(([name]) => feeds.has(name)));
  runHandOver(session, values, needed, floats.subarray(place.start, place.end));
  addValues(sum, floats, place, { adds: batches.length > 1, finishes: false });
}

/**
 * Runs a whole sum over micro-batches, at least one, so that the vector holds it afterwards as a ring leaves it:
 * for a rank that has nobody to add it up with.
 */
export function runAlone(
  session: Session,
  gradient: GradientGraph,
  batches: readonly Feeds[],
  sum: RunningSum,
): void {
  assert(batches.length > 0, 'a worker that is alone computes every micro-batch');
  addWhole(session, gradient, batches, sum, batches.length - 1);
}

/** @param last which of them completes the sum */
function addWhole(
  session: Session,
  gradient: GradientGraph,
  batches: readonly Feeds[],
  sum: RunningSum,
  last?: number,
): void {
  const whole = { start: 0, end: sum.layout.length };
  for (const [index, feeds] of batches.entries()) {
    sum.proceed();
    const floats = index === 0 ? sum.vector : sum.scratch;
    runHandOver(session, gradient.whole, feeds, floats);
    addValues(sum, floats, whole, { adds: index > 0, finishes: index === last });
  }
}

/** Takes a micro-batch's values in `range` into the sum. */
function addValues(
  sum: RunningSum,
  floats: Float32Array,
  range: { readonly start: number; readonly end: number },
  how: { readonly adds: boolean; readonly finishes: boolean },
): void {
  const { layout, rows } = sum;
  encodeGradients({ ...sum, ...how, floats, range });
  if (range.end === layout.length) rows.push(floats.slice(layout.gradientLength, layout.length));
}
