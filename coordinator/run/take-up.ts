import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaults } from '../options/run-options.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { runDirectoryAt } from '../run-store/run-directory.js';

/**
 * The options of a supervised coordinator: to go on with the run of its name where that is there, else to begin it.
 *
 * @throws RondoError invalid-argument for options that cannot be.
 */
export function takeUp(raw: RawStart): RawStart {
  const { supervised, kubernetes, name, runDir = defaults.runDir, resume } = parseStart(raw);
  if (!(supervised || kubernetes) || name === undefined || resume !== undefined) return raw;
  const directory = runDirectoryAt(join(runDir, name));
  if (existsSync(directory.record)) {
    const { name: _, ...rest } = raw;
    return { ...rest, resume: directory.path };
  }
  return raw;
}
