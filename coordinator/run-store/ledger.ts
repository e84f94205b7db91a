import type { z } from 'zod';
import { ledgerLineSchema } from '../../proto/run-files.js';
import { type ReadProgress, readLines } from './line-file.js';

export type LedgerLine = z.infer<typeof ledgerLineSchema>;
export type StepLine = Extract<LedgerLine, { kind: 'step' }>;
export type EpochLine = Extract<LedgerLine, { kind: 'epoch' }>;
export type WorkerLine = Extract<LedgerLine, { kind: 'worker' }>;

/** Of a step that was committed, without its samples: what is kept in memory of every step of a run. */
export type StepFigures = Pick<StepLine, 'step' | 'loss' | 'samples' | 'skipped' | 'seconds'>;

/** What counts after all rollbacks, in order. */
export interface LedgerState {
  readonly steps: readonly StepFigures[];
  readonly epochs: readonly EpochLine[];
  /** All that ever took part. */
  readonly workers: readonly WorkerLine[];
  /** Times that the run went on with other workers, or was resumed. */
  readonly recoveries: number;
  /** The steps that the run went on with where phases had ended early. */
  readonly earlyStops: readonly number[];
}

export const emptyLedger: LedgerState = {
  ...{ steps: [], epochs: [], earlyStops: [], workers: [] },
  recoveries: 0,
};

/** Line by line, whatever its length. Throws data-loss that names the line which is not the ledger's. */
export function readLedger(
  path: string,
  onProgress?: (progress: ReadProgress) => void,
): AsyncGenerator<LedgerLine> {
  return readLines(path, ledgerLineSchema, onProgress);
}

/** Applies the rollbacks. */
export async function settleLedger(
  lines: AsyncIterable<LedgerLine> | Iterable<LedgerLine>,
): Promise<LedgerState> {
  let steps: StepFigures[] = [];
  let epochs: EpochLine[] = [];
  const workers: WorkerLine[] = [];
  let recoveries = 0;
  /** Whose the last step was; null before the first, and where the run was resumed since. */
  let generation: number | null = null;
  let earlyStops: number[] = [];
  for await (const line of lines) {
    if (line.kind === 'step') {
      steps.push(figuresOf(line));
      if (generation !== null && line.generation !== generation) recoveries += 1;
      generation = line.generation;
    } else if (line.kind === 'epoch') epochs.push(line);
    else if (line.kind === 'worker') workers.push(line);
    else if (line.kind === 'early-stop') earlyStops.push(line.toStep);
    else {
      ({ steps, epochs, earlyStops, recoveries } = rollBack(
        { steps, epochs, earlyStops, recoveries },
        line.toStep,
      ));
      generation = null;
    }
  }
  return { steps, epochs, earlyStops, workers, recoveries };
}

export function figuresOf({ step, loss, samples, skipped, seconds }: StepFigures): StepFigures {
  return { step, loss, samples, skipped, seconds };
}

/** What is left of a ledger when the run goes on from its state after `toStep` steps. */
export function rollBack(
  state: Omit<LedgerState, 'workers'>,
  toStep: number,
): { steps: StepFigures[]; epochs: EpochLine[]; earlyStops: number[]; recoveries: number } {
  return {
    steps: state.steps.filter((line) => line.step < toStep),
    epochs: state.epochs.filter((line) => line.step <= toStep),
    earlyStops: state.earlyStops.filter((step) => step <= toStep),
    recoveries: state.recoveries + 1,
  };
}

/** What a worker computes with. */
export type Kernels = WorkerLine['kernels'];

/** As in `oneDNN (AVX2) on AMD EPYC 7763, 1 thread, TensorFlow 2.21.0`. */
export function formatKernels(kernels: Kernels): string {
  const { gpu, oneDnn, instructionSet, processor, threads, tensorflow } = kernels;
  const version = `TensorFlow ${tensorflow}`;
  if (gpu) return `${processor}, ${version}`;
  const library = oneDnn === null ? 'unknown kernels' : oneDnn ? `oneDNN (${instructionSet})` : 'Eigen';
  return `${library} on ${processor}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${version}`;
}

/** In words, each once, in the order in which they came. */
export function distinctKernels(workers: readonly Pick<WorkerLine, 'kernels'>[]): string[] {
  return [...new Set(workers.map(({ kernels }) => formatKernels(kernels)))];
}
