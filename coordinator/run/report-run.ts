import { RondoError } from '../../runtime/errors.js';
import type { RunEvent } from '../telemetry/run-events.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunRecorder } from './run-recorder.js';
import type { RunServices } from './services.js';

/**
 * Writes the report of a run from its newest evaluation and returns the path of its page; null when there is
 * none to write. An error is only a warning: the run itself is complete.
 */
export async function reportRun(
  { directory, dataset }: PreparedRun,
  { history, newestEvaluation }: RunRecorder,
  { services, report }: { services: Pick<RunServices, 'writeReport'>; report(event: RunEvent): void },
): Promise<string | null> {
  if (newestEvaluation === null) return null;
  try {
    return await services.writeReport({
      directory,
      history,
      root: dataset.validRoot ?? dataset.root,
      valid: dataset.valid,
      evaluation: newestEvaluation,
      origin: `after epoch ${newestEvaluation.epoch + 1}`,
    });
  } catch (thrown) {
    const text = `the report could not be written: ${RondoError.from(thrown).message}`;
    report({ kind: 'warning', text });
    return null;
  }
}
