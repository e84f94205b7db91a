import type { Trainable } from '../../plan/run-config.js';
import type { Kernels } from '../../proto/gen/coordinator.js';
import type { ThreadCalls } from '../../runtime/thread-calls.js';
import type {
  HeldLayout,
  ImageBatch,
  Placed,
  ProgramOptions,
  ReductionLayout,
  StateLayout,
  Summary,
  SumRequest,
} from '../model/program.js';

export type GradientRequest = Pick<SumRequest, 'trainable' | 'microBatches' | 'largest'>;

export interface ApplyOptions {
  readonly trainable: Trainable;
  /** One per layer group, early to late. */
  readonly learningRates: readonly number[];
  /** Adam's β1. */
  readonly momentum: number;
  /** What the weights' moving average keeps of itself; null where there is none. */
  readonly averageDecay: number | null;
}

export type Applied =
  | {
      /** `skipped` when something was not finite, and the state is as it was. */
      readonly outcome: 'updated' | 'skipped';
      /** Tensors that the binding holds for JavaScript: flat over a run, or something leaks. */
      readonly tensorHandles: number;
    }
  | {
      /** Some gradient did not fit its grid, and the state is as it was: the sum is to be made for `largest`. */
      readonly outcome: 'overflow';
      readonly largest: Float32Array;
    };

/** Per sample, in the order of the batch. */
export interface EvaluatedBatch {
  /** By the training criterion, mixup aside. */
  readonly losses: Float32Array;
  readonly predictions: Int32Array;
  /** How many classes the network finds likelier than the sample's label. */
  readonly labelRanks: Uint32Array;
  /** Of the sample's own label. */
  readonly probabilities: Float32Array;
}

export interface ComputeShape {
  readonly kernels: Kernels;
  readonly state: StateLayout;
  readonly held: HeldLayout;
  readonly reductions: Readonly<Partial<Record<Trainable, ReductionLayout>>>;
  /** Where the vectors of the reductions begin. */
  readonly vectors: Readonly<Partial<Record<Trainable, WebAssembly.Memory>>>;
}

/**
 * What TensorFlow does for training, each call blocking its thread. Arrays over shared memory cross to the
 * compute thread without a copy.
 */
export interface ComputeOperations {
  open(options: Omit<ProgramOptions, 'input'>): ComputeShape;
  /**
   * Fills `into` with the state that a run starts from (the seed's, then the pretrained file's) and loads it.
   */
  initialize(into: Float32Array, seed: number, pretrained: Uint8Array | null): Promise<void>;
  load(state: Float32Array): void;
  save(into: Float32Array): void;
  /** The state as it is held, `held.length` values, for another worker of the run: quicker than the flat one. */
  saveHeld(into: Float32Array): void;
  loadHeld(from: Float32Array): void;
  /**
   * Tells the state from others that the same program may hold, in little time. It says nothing outside this run: for
   * that there are digests.
   */
  checksum(): string;
  resetMoments(): void;
  /**
   * One part of the sum over these micro-batches, at its place in the vector; after the last part, what is known
   * beside it. All parts are asked for in order, with the same batches, and nothing else between them. A sum that
   * `continues` adds to the last one, of the same step, whose parts were all computed, no matter what became of its
   * vector. What has not begun when `cancelled`, one value of shared memory, is not 0 any more fails.
   */
  gradientPart(
    part: number,
    batches: readonly Placed<ImageBatch>[],
    request: GradientRequest & { readonly continues: boolean; readonly cancelled: Int32Array },
  ): Summary | null;
  /** The whole sum over a step's micro-batches at once, as the ring would leave it, and what is beside it. */
  sumAlone(batches: readonly Placed<ImageBatch>[], request: GradientRequest): Summary;
  /**
   * Updates the state from the vector, reduced over all ranks, and their summaries. Statistics and tail of the vector
   * are their sums afterwards.
   */
  apply(summaries: readonly Summary[], options: ApplyOptions): Applied;
  evaluate(batch: ImageBatch): EvaluatedBatch;
  /** Probabilities [n, classes], row by row. */
  predict(batch: Omit<ImageBatch, 'labels'>): Float32Array;
  close(): void;
}

/** The same operations, wherever they run. */
export type Compute = ThreadCalls<ComputeOperations>;
