import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { readLines } from './line-file.js';

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
  seconds: z.number(),
  imagesPerSecond: z.number(),
  parameterDigest: z.string(),
});

/** From here on, lines of step >= toStep that stand above count no longer: the run went on from an earlier state. */
const rollbackLine = z.object({ kind: z.literal('rollback'), toStep: count });

const ledgerLine = z.discriminatedUnion('kind', [stepLine, epochLine, rollbackLine]);

export type StepLine = z.infer<typeof stepLine>;
export type EpochLine = z.infer<typeof epochLine>;
export type LedgerLine = z.infer<typeof ledgerLine>;

/** What counts after all rollbacks, in order. */
export interface LedgerState {
  readonly steps: readonly StepLine[];
  readonly epochs: readonly EpochLine[];
}

/** Throws data-loss that names the line which is not the ledger's. */
export function readLedger(path: string): LedgerLine[] {
  return readLines(path).map((line, index) => {
    const result = ledgerLine.safeParse(line);
    if (result.success) return result.data;
    const { path: at, message } = result.error.issues[0]!;
    throw new RondoError('data-loss', `${path}, line ${index + 1}: ${at.join('.')}: ${message}`, {
      remedy: 'the file was changed after it was written; restore it from a copy',
    });
  });
}

/** Applies the rollbacks. */
export function settleLedger(lines: readonly LedgerLine[]): LedgerState {
  let steps: StepLine[] = [];
  let epochs: EpochLine[] = [];
  for (const line of lines) {
    if (line.kind === 'step') steps.push(line);
    else if (line.kind === 'epoch') epochs.push(line);
    else ({ steps, epochs } = rollBack({ steps, epochs }, line.toStep));
  }
  return { steps, epochs };
}

/** What is left of a ledger when the run goes on from its state after `toStep` steps. */
export function rollBack(state: LedgerState, toStep: number): { steps: StepLine[]; epochs: EpochLine[] } {
  return {
    steps: state.steps.filter((line) => line.step < toStep),
    epochs: state.epochs.filter((line) => line.step <= toStep),
  };
}
