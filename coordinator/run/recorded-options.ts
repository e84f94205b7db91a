import { isDeepStrictEqual } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import { dashed } from '../options/option.js';
import type { TrainingOptions } from '../options/start-schema.js';
import type { RunRecord } from '../run-store/run-directory.js';
import { movedPlaces } from './recorded-data.js';

/**
 * Options that are given again must be the run's, but for places where its files lie now.
 *
 * @throws RondoError invalid-argument, naming one that is another.
 */
export function requireSame(given: Partial<TrainingOptions>, { runId, training, config }: RunRecord): void {
  const places = movedPlaces(given, training);
  /** What was left to the machine, as it decided. */
  const decided: Partial<Record<string, unknown>> = { threads: config.threads, lanes: config.lanes };
  for (const [key, value] of Object.entries(given)) {
    if (Object.hasOwn(places, key)) continue;
    const recorded = training[key as keyof TrainingOptions] ?? decided[key] ?? null;
    if (isDeepStrictEqual(value, recorded)) continue;
    const option = `--${dashed(key)}`;
    const how = recorded === null ? 'without it' : `with ${JSON.stringify(recorded)}`;
    throw new RondoError(
      'invalid-argument',
      `${option} is ${JSON.stringify(value)}, but run ${runId} was started ${how}`,
      { remedy: `leave ${option} out, or start a new run` },
    );
  }
}
