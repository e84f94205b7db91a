import assert from 'node:assert/strict';
import type { Trainable } from '../../plan/run-config.js';
import type { Kernels } from '../../proto/gen/coordinator.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { loadBinding } from '../tensorflow/binding.js';
import { runHandOver } from '../tensorflow/hand-over.js';
import { describeKernels } from '../tensorflow/kernels.js';
import { type Feeds, openSession } from '../tensorflow/session.js';
import {
  type Batch,
  checkLabels,
  feedsOf,
  type ImageBatch,
  type Keyed,
  type NormalizedBatch,
  type Placed,
} from './batch.js';
import { clipFactor } from './clip-norm.js';
import { joinSummaries, judge, type Summary, scaleGradients, type Verdict } from './exact-sum.js';
import { followState } from './followed-state.js';
import { beginSum, type RunningSum, runAlone, runPart, type Summand, summarize } from './gradient-parts.js';
import { runKept } from './kept-sum.js';
import { rankLabels } from './label-ranks.js';
import type { HeldLayout, ReductionLayout, StateLayout } from './layout.js';
import { buildProgramGraph } from './program-graph.js';
import type { ProgramOptions } from './program-options.js';
import { type UpdateOptions, updateSettings } from './update-graph.js';

export type { ImageBatch, Keyed, NormalizedBatch, Placed } from './batch.js';
export type { TensorSpec } from './blocks.js';
export type { Summary } from './exact-sum.js';
export type { HeldLayout, ReductionLayout, StateLayout } from './layout.js';
export type { ProgramOptions } from './program-options.js';

export interface Evaluation {
  /** Of each sample, by the training criterion, mixup aside. */
  readonly losses: Float32Array;
  readonly predictions: Int32Array;
  /** How many classes the network finds likelier than each sample's label. */
  readonly labelRanks: Uint32Array;
  /** That the network gives each sample's label. */
  readonly probabilities: Float32Array;
}

export interface SumRequest {
  readonly trainable: Trainable;
  /** Of the step, on all ranks. */
  readonly microBatches: number;
  /** What the grid is made for, by gradient; what the state has from the last update unless given. */
  readonly largest: Float32Array | null;
  /** Where kernels reach them: `reduction(trainable).length` values each. */
  readonly vector: Float32Array;
  /** This rank's part of the sum; what becomes of the vector does not change it. */
  readonly own: Float32Array;
  /** Called before each of TensorFlow's runs; throws when nobody wants the sum any more. */
  proceed?(): void;
}

/** What an update's vector holds. */
export interface AppliedVector {
  readonly trainable: Trainable;
  /** What each gradient's values are multiples of; 1 unless given. */
  readonly units?: Float32Array;
  /** Largest magnitude of each gradient in any micro-batch: the state's amax, where it is not 0. */
  readonly largest?: Float32Array;
}

/**
 * A network with its optimizer in a TensorFlow session. Every call blocks the thread. Vectors in 64-byte
 * aligned memory (`allocateShared`) enter and leave without a copy.
 */
export interface Program<B extends Batch = ImageBatch> {
  readonly state: StateLayout;
  reduction(trainable: Trainable): ReductionLayout;
  /** Replaces the whole state; must come before anything else. */
  load(state: Float32Array): void;
  /** The whole state, in `into` if given. */
  save(into?: Float32Array): Float32Array;
  /** Of the whole state as variables hold it: quicker to save, for a program of the same options to load. */
  readonly held: HeldLayout;
  saveHeld(into: Float32Array): void;
  loadHeld(from: Float32Array): void;
  /**
   * Tells the state from others: sums of its bits, a tenth of the work of copying it. Two states that differ in one value
   * have different ones.
   */
  checksums(): Int32Array;
  /** Sets the optimizer's moments, and the number of updates that they have seen, to zero. */
  resetMoments(): void;
  /**
   * One part of the sum over a rank's micro-batches, on the grid (exact-sum.ts), written to its place in the
   * vector; after the last part, what is known beside it. The parts of a sum are asked for in order, 0 first,
   * with the same batches: it does the forward pass, and everything for all micro-batches but the last one.
   * A sum that `continues` adds to the one before, which was computed to its end for the same step. Changes no state.
   */
  gradientPart(
    part: number,
    batches: readonly Placed<B>[],
    request: SumRequest & { readonly continues?: boolean },
  ): Summary | null;
  /**
   * The whole sum over a step's micro-batches, as the ring would leave it, for a rank that is alone. Changes no
   * state.
   */
  sumAlone(batches: readonly Placed<B>[], request: SumRequest): Summary;
  /**
   * Completes the vector of the sum that was begun last, when it has been reduced: with what all ranks know
   * beside it. Says what its gradients are multiples of, and their largest
   * magnitudes.
   */
  finishSum(summaries: readonly Summary[]): {
    readonly verdict: Verdict;
    readonly units: Float32Array;
    readonly largest: Float32Array;
  };
  /**
   * Writes the sum over the micro-batches into `into`, in float32; zeros if there are none. It is for checks and
   * measurements: its bits depend on the order of the micro-batches. Changes no state.
   */
  gradients(batches: readonly Keyed<B>[], trainable: Trainable, into: Float32Array): void;
  /**
   * One update from a reduced vector: trained parameters, their moments, the running statistics, the number
   * of updates, and amax. Uses the vector's gradients up.
   */
  apply(vector: Float32Array, options: UpdateOptions & AppliedVector): void;
  evaluate(batch: B): Evaluation;
  /** [n, classes] in evaluation mode, row by row. */
  logits(batch: Omit<B, 'labels'>): Float32Array;
  /** Probabilities [n, classes] in evaluation mode, row by row. */
  predict(batch: Omit<B, 'labels'>): Float32Array;
  /** Tensors that TensorFlow's binding holds for this process: constant between calls. */
  tensorHandles(): number;
  /** What computes it. */
  kernels(): Kernels;
  /** Frees the session. May be called twice. */
  close(): void;
}

/** Builds and loads the graph: seconds, and several times the parameters' memory. */
export function openProgram(options: ProgramOptions & { input: 'normalized' }): Program<NormalizedBatch>;
export function openProgram(options: ProgramOptions & { input?: 'pixels' }): Program;
export function openProgram(options: ProgramOptions): Program | Program<NormalizedBatch> {
  const { weightDecay, clipNorm = null } = options;
  const built = buildProgramGraph({ onGpu: loadBinding().isUsingGpuDevice(), ...options });
  const session = openSession(built.graph);
  const entries = (trainable: Trainable) => {
    const found = built.sets.get(trainable);
    assert(found !== undefined, `the program was opened without the set '${trainable}'`);
    return found;
  };
  const [followed, { copy }] = [followState(built.layout), built.state];
  const begin = (layout: ReductionLayout, request: SumRequest) =>
    beginSum(layout, { ...request, largest: request.largest ?? followed.largestOf(layout) });
  /** The last one begun; `kept` where its gradients are not in its vector, but in the session. */
  let sum: (RunningSum & { readonly kept?: boolean }) | undefined;
  const feedsOfTraining = ({ batch, key, mixup }: Keyed<Batch>): Feeds => ({
    ...feedsOf(batch),
    key: Int32Array.from(key),
    ...mixup,
    labels: checkLabels(batch, options),
  });
  const summandsOf = (batches: readonly Placed<Batch>[]): Summand[] =>
    batches.map((keyed) => ({ microBatch: keyed.microBatch, feeds: feedsOfTraining(keyed) }));
  const program: Program<Batch> = {
    state: built.layout,
    reduction: (trainable) => entries(trainable).reduction,
    held: copy.layout,
    load(state) {
      session.run({ [built.state.flat]: state }, { loaded: built.state.loaded });
      followed.load(state);
    },
    saveHeld: (into) => runHandOver(session, copy.save, {}, into),
    loadHeld(from) {
      session.run({ [copy.rows]: from }, { loaded: copy.loaded });
      followed.load(from, copy.layout);
    },
    save(into = new Float32Array(allocateShared(4 * built.layout.length), 0, built.layout.length)) {
      runHandOver(session, built.state.save, {}, into);
      return into;
    },
    checksums: () => session.run({}, { sums: built.state.checksums }).sums,
    resetMoments() {
      session.run({}, { reset: built.state.momentsReset });
      followed.reset();
    },
    gradientPart(part, batches, request) {
      const { reduction: layout, gradient } = entries(request.trainable);
      if (part === 0 && !request.continues) sum = begin(layout, request);
      assert(sum?.layout === layout, 'the first part of a sum is asked for first');
      sum = { ...sum, proceed: request.proceed ?? (() => {}) };
      runPart(session, gradient, part, summandsOf(batches), sum);
      return part < layout.parts.length - 1 ? null : summarize(sum);
    },
    sumAlone(batches, request) {
      const { reduction: layout, gradient, kept } = entries(request.trainable);
      sum = { ...begin(layout, request), kept: kept !== null };
      const summands = summandsOf(batches);
      if (kept === null) runAlone(session, gradient, summands, sum);
      else runKept(session, kept.sum, summands, sum);
      return summarize(sum);
    },
    finishSum(summaries) {
      assert(sum !== undefined, 'a sum is begun before it is finished');
      const { layout, grid, count, vector } = sum;
      const largest = joinSummaries(summaries, count, layout, vector);
      return { verdict: judge(largest, grid, layout, vector), units: grid.units, largest };
    },
    gradients(batches, trainable, into) {
      const { whole } = entries(trainable).gradient;
      into.fill(0);
      for (const [index, batch] of batches.entries()) {
        const place = index === 0 ? into : into.slice();
        runHandOver(session, whole, feedsOfTraining(batch), place);
        if (index === 0) continue;
        for (let at = 0; at < into.length; at += 1) into[at]! += place[at]!;
      }
    },
    apply(vector, { trainable, units, largest, ...update }) {
      const { reduction, update: fed, kept } = entries(trainable);
      const { gradients, gradientLength, tail } = reduction;
      const isKept = kept !== null && sum?.kept === true && sum.layout === reduction && sum.vector === vector;
      const entry = isKept ? kept.update : fed;
      const worth = units ?? new Float32Array(gradients.length).fill(1);
      const clip = clipNorm === null ? 1 : clipFactor(vector, reduction, worth, clipNorm);
      if (largest !== undefined) followed.setLargest(reduction, largest);
      const factors = worth.map((unit) => (unit * clip) / vector[tail.weight]!);
      if (entry.factors === null) scaleGradients(vector, reduction, factors);
      const feeds = {
        [entry.vector]: isKept ? vector.subarray(gradientLength) : vector,
        [entry.settings]: updateSettings(update, { updates: followed.updates + 1, weightDecay }),
        ...(entry.factors === null ? {} : { [entry.factors]: factors }),
        [entry.amax]: followed.amax,
      };
      session.run(feeds, { applied: entry.applied });
      followed.updates += 1;
    },
    evaluate(batch) {
      const { results, logits: scores } = built.evaluation;
      const fed = { ...feedsOf(batch), labels: checkLabels(batch, options) };
      const { logits, ...found } = session.run(fed, { ...results, logits: scores });
      return { ...found, labelRanks: rankLabels(logits, batch.labels, options.classes) };
    },
    logits: (batch) => session.run(feedsOf(batch), { logits: built.evaluation.logits }).logits,
    predict: (batch) => session.run(feedsOf(batch), { all: built.evaluation.probabilities }).all,
    tensorHandles: () => session.handles(),
    kernels: () => describeKernels(loadBinding()),
    close: () => session.close(),
  };
  return program;
}
