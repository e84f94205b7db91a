import { RondoError } from '../../runtime/errors.js';

/**
 * So many skipped steps in a row end a run: training has diverged, and nothing that follows would change a
 * weight.
 */
const mostSkippedInRow = 20;

/** Going on with the run as it is would only skip the same steps again. */
const divergedRemedy =
  'give a lower --lr (`coordinator lr-find` finds one) or --clip-norm 1, and look at the weights that the run began with';

/** Follows which steps changed nothing, because the loss or a gradient was not finite. */
export interface SkippedSteps {
  readonly count: number;
  /**
   * Counts a step; warns of the first one that is skipped.
   *
   * @throws RondoError aborted when too many in a row were skipped.
   */
  add(step: { readonly step: number; readonly skipped: boolean }): void;
}

/** @param before the steps that the ledger holds already, in order */
export function followSkippedSteps(
  before: readonly { readonly skipped: boolean }[],
  warn: (text: string) => void,
): SkippedSteps {
  let count = before.filter(({ skipped }) => skipped).length;
  let inRow = before.length - 1 - before.findLastIndex(({ skipped }) => !skipped);
  let warned = false;
  return {
    get count() {
      return count;
    },
    add({ step, skipped }) {
      inRow = skipped ? inRow + 1 : 0;
      if (!skipped) return;
      count += 1;
      if (!warned) {
        warn(
          `step ${step} was skipped: its loss or a gradient is not finite, so no weight was changed; ` +
            `${mostSkippedInRow} such steps in a row end the run`,
        );
      }
      warned = true;
      if (inRow < mostSkippedInRow) return;
      throw new RondoError(
        'aborted',
        `training has diverged: the last ${inRow} steps, up to step ${step}, were skipped, because their loss or a gradient ` +
          'is not finite',
        { remedy: divergedRemedy },
      );
    },
  };
}

/** Throws for a run that never changed a weight: it is not completed. */
export function requireUpdates(steps: number, skipped: number): void {
  if (steps === 0 || skipped < steps) return;
  throw new RondoError(
    'aborted',
    `nothing was trained: all ${steps} steps were skipped, because their loss or a gradient is not finite`,
    { remedy: divergedRemedy },
  );
}

/** Adds the command that resumes the run to what ended it after `steps`, unless it says so, or would only fail again. */
export function addResumeRemedy(error: RondoError, steps: number, resume: string): RondoError {
  const { remedy } = error;
  if (steps === 0 || remedy === divergedRemedy || remedy?.includes(resume)) return error;
  const remedies = [remedy, `go on with: ${resume}`].filter((each) => each !== undefined);
  return new RondoError(error.code, error.message, { remedy: remedies.join('; '), cause: error });
}
