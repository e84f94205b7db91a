import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { type ReadProgress, readLines } from './line-file.js';

const count = z.number().int().nonnegative();
/** JSON has no NaN: a loss that was not finite is null. */
const measure = z.number().nullable();

const stepLine = z.object({
  kind: z.literal('step'),
  step: count,
  epoch: count,
  generation: count,
  worldSize: count,
  /** Mean over the global batch. */
  loss: measure,
  correct: count,
  samples: count,
  skipped: z.boolean(),
  /** Wall time of the slowest rank. */
  seconds: z.number(),
  /** The sample ids that each rank computed, in order. */
  shares: z.array(z.array(count)),
});

const epochLine = z.object({
  kind: z.literal('epoch'),
  epoch: count,
  /** Steps taken up to its end, over the whole run. */
  step: count,
  train_loss: measure,
  valid_loss: measure,
  error_rate: measure,
  /** Ledgers of earlier versions lack these. */
  balanced_error: measure.default(null),
  macro_f1: measure.default(null),
  top5_error: measure.default(null),
  seconds: z.number(),
  imagesPerSecond: z.number(),
  parameterDigest: z.string(),
});

/** A worker that takes part in a generation, and what it computes with. */
const workerLine = z.object({
  kind: z.literal('worker'),
  generation: count,
  worker: z.string(),
  rank: count,
  host: z.string(),
  kernels: z.object({
    /** Version of the library. */
    tensorflow: z.string(),
    gpu: z.boolean(),
    /** oneDNN's kernels, not Eigen's; null where TensorFlow does not tell. */
    oneDnn: z.boolean().nullable(),
    processor: z.string(),
    /** The best that oneDNN may use, in its words, such as AVX2. */
    instructionSet: z.string(),
    threads: count,
  }),
});

/**
 * From here on, lines of step >= toStep that stand above count no longer: the run went on from an earlier
 * state.
 */
const rollbackLine = z.object({ kind: z.literal('rollback'), toStep: count });

/**
 * The phase of `epoch` ended early, with that epoch: the run goes on with step `toStep`, the next phase's
 * first.
 */
const earlyStopLine = z.object({ kind: z.literal('early-stop'), epoch: count, toStep: count });

const ledgerLine = z.discriminatedUnion('kind', [
  stepLine,
  epochLine,
  rollbackLine,
  workerLine,
  earlyStopLine,
]);

export type StepLine = z.infer<typeof stepLine>;
export type EpochLine = z.infer<typeof epochLine>;
export type WorkerLine = z.infer<typeof workerLine>;
export type LedgerLine = z.infer<typeof ledgerLine>;

/** Of a step that was committed, without its samples: what is kept in memory of every step of a run. */
export type StepFigures = Pick<StepLine, 'step' | 'loss' | 'samples' | 'skipped' | 'seconds'>;

/** What counts after all rollbacks, in order. */
export interface LedgerState {
  readonly steps: readonly StepFigures[];
  readonly epochs: readonly EpochLine[];
  /** All that ever took part. */
  readonly workers: readonly WorkerLine[];
  readonly rollbacks: number;
  /** The steps that the run went on with where phases had ended early. */
  readonly earlyStops: readonly number[];
}

export const emptyLedger: LedgerState = {
  ...{ steps: [], epochs: [], earlyStops: [], workers: [] },
  rollbacks: 0,
};

/** Line by line, whatever its length. Throws data-loss that names the line which is not the ledger's. */
export async function* readLedger(
  path: string,
  onProgress?: (progress: ReadProgress) => void,
): AsyncGenerator<LedgerLine> {
  let count = 0;
  for await (const line of readLines(path, onProgress)) {
    count += 1;
    const result = ledgerLine.safeParse(line);
    if (result.success) {
      yield result.data;
      continue;
    }
    const { path: at, message } = result.error.issues[0]!;
    throw new RondoError('data-loss', `${path}, line ${count}: ${at.join('.')}: ${message}`, {
      remedy: 'the file was changed after it was written; restore it from a copy',
    });
  }
}

/** Applies the rollbacks. */
export async function settleLedger(
  lines: AsyncIterable<LedgerLine> | Iterable<LedgerLine>,
): Promise<LedgerState> {
  let steps: StepFigures[] = [];
  let epochs: EpochLine[] = [];
  const workers: WorkerLine[] = [];
  let rollbacks = 0;
  let earlyStops: number[] = [];
  for await (const line of lines) {
    if (line.kind === 'step') steps.push(figuresOf(line));
    else if (line.kind === 'epoch') epochs.push(line);
    else if (line.kind === 'worker') workers.push(line);
    else if (line.kind === 'early-stop') earlyStops.push(line.toStep);
    else {
      ({ steps, epochs, earlyStops } = rollBack({ steps, epochs, earlyStops }, line.toStep));
      rollbacks += 1;
    }
  }
  return { steps, epochs, earlyStops, workers, rollbacks };
}

export function figuresOf({ step, loss, samples, skipped, seconds }: StepFigures): StepFigures {
  return { step, loss, samples, skipped, seconds };
}

/** What is left of a ledger when the run goes on from its state after `toStep` steps. */
export function rollBack(
  state: Pick<LedgerState, 'steps' | 'epochs' | 'earlyStops'>,
  toStep: number,
): { steps: StepFigures[]; epochs: EpochLine[]; earlyStops: number[] } {
  return {
    steps: state.steps.filter((line) => line.step < toStep),
    epochs: state.epochs.filter((line) => line.step <= toStep),
    earlyStops: state.earlyStops.filter((step) => step <= toStep),
  };
}
