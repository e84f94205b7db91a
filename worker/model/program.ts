import assert from 'node:assert/strict';
import type { Mixup } from '../../plan/mixup.js';
import type { Trainable } from '../../plan/run-config.js';
import type { Kernels } from '../../proto/gen/coordinator.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { loadBinding } from '../tensorflow/binding.js';
import { runHandOver } from '../tensorflow/hand-over.js';
import { describeKernels } from '../tensorflow/kernels.js';
import { type Feeds, openSession } from '../tensorflow/session.js';
import type { Batch, ImageBatch, NormalizedBatch } from './batch.js';
import { clipFactor } from './clip-norm.js';
import { runPart } from './gradient-parts.js';
import { runKept } from './kept-gradients.js';
import { rankLabels } from './label-ranks.js';
import type { ReductionLayout, StateLayout } from './layout.js';
import { buildProgramGraph } from './program-graph.js';
import type { ProgramOptions } from './program-options.js';
import { type UpdateOptions, updateSettings } from './update-graph.js';

export type { ImageBatch, NormalizedBatch } from './batch.js';
export type { ReductionLayout, StateLayout, TensorSpec } from './layout.js';
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

/** A micro-batch and its random choices. */
export interface Keyed<B extends Batch> {
  readonly batch: B;
  /** Dropout's. */
  readonly key: readonly [number, number];
  /** Where the program mixes samples. */
  readonly mixup?: Mixup;
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
  /** Sets the optimizer's moments, and the number of updates that they have seen, to zero. */
  resetMoments(): void;
  /**
   * Writes the sum over the micro-batches into `into`; zeros if there are none. Changes no state. A program
   * that is `alone` keeps what has no place in `into` until the next sum; isFinite and apply take it with the
   * vector.
   */
  gradients(batches: readonly Keyed<B>[], trainable: Trainable, into: Float32Array): void;
  /**
   * One part of that sum, written to its place in `into`. The parts of a sum are asked for in order, 0 first;
   * it does the forward pass, and everything for all micro-batches but the last one.
   */
  gradientPart(part: number, batches: readonly Keyed<B>[], trainable: Trainable, into: Float32Array): void;
  /** Whether a reduced vector has neither NaN nor infinity in it. */
  isFinite(vector: Float32Array, trainable: Trainable): boolean;
  /**
   * One update from a reduced vector: trained parameters, their moments, the running statistics, the number
   * of updates.
   */
  apply(vector: Float32Array, options: UpdateOptions & { readonly trainable: Trainable }): void;
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
  // What the session's state says, so that an update need not ask for it.
  let updates = 0;
  const program: Program<Batch> = {
    state: built.layout,
    reduction: (trainable) => entries(trainable).reduction,
    load(state) {
      session.run({ [built.state.flat]: state }, { loaded: built.state.loaded });
      updates = state[built.layout.updates.offset]!;
    },
    save(into = new Float32Array(allocateShared(4 * built.layout.length), 0, built.layout.length)) {
      runHandOver(session, built.state.save, {}, into);
      return into;
    },
    resetMoments() {
      session.run({}, { reset: built.state.momentsReset });
      updates = 0;
    },
    gradients(batches, trainable, into) {
      const { parts } = entries(trainable).reduction;
      for (const part of parts.keys()) program.gradientPart(part, batches, trainable, into);
    },
    gradientPart(part, batches, trainable, into) {
      const { reduction, gradient } = entries(trainable);
      const { start, end } = reduction.parts[part]!;
      const place = into.subarray(start, end);
      const feeds = batches.map((piece) => ({
        ...trainingFeeds(piece),
        labels: checked(piece.batch, options),
      }));
      if ('parts' in gradient) runPart(session, gradient, part, feeds, place);
      else runKept(session, gradient, feeds, place);
    },
    isFinite(vector, trainable) {
      const { update } = entries(trainable);
      return session.run({ [update.vector]: vector }, { finite: update.finite }).finite[0] === 1;
    },
    apply(vector, { trainable, ...update }) {
      const { reduction, update: entry } = entries(trainable);
      const factor = clipNorm === null ? 1 : clipFactor(vector, reduction, clipNorm);
      const settings = updateSettings(update, { updates: updates + 1, weightDecay, clipFactor: factor });
      session.run({ [entry.vector]: vector, [entry.settings]: settings }, { applied: entry.applied });
      updates += 1;
    },
    evaluate(batch) {
      const { results, logits: scores } = built.evaluation;
      const fed = { ...feedsOf(batch), labels: checked(batch, options) };
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

function trainingFeeds({ batch, key, mixup }: Keyed<Batch>): Feeds {
  return { ...feedsOf(batch), key: Int32Array.from(key), ...mixup };
}

/** A batch's labels; the graph itself would take one for all, and pass over one that no class has. */
function checked(batch: Batch, { classes, size }: ProgramOptions): Int32Array {
  const { pixels, labels } = batch;
  const count = 'transforms' in batch ? batch.transforms.length / 8 : pixels.length / (3 * size ** 2);
  assert(labels.length === count, `${count} images have ${labels.length} labels`);
  const wrong = labels.find((label) => !(label >= 0 && label < classes));
  assert(wrong === undefined, `there is no class ${wrong} among ${classes}`);
  return labels;
}

function feedsOf(batch: Omit<Batch, 'labels'>): Feeds {
  const { pixels } = batch;
  if (!('transforms' in batch)) return { pixels };
  const { transforms, lighting } = batch as Omit<ImageBatch, 'labels'>;
  return { pixels, transforms, lighting };
}
