import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defaults } from '../options/run-options.js';
import { parseStart, type RawStart } from '../options/start-schema.js';
import { lockRun, type RunDirectory, runDirectoryAt } from '../run-store/run-directory.js';

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
  if (isUnbegun(directory)) {
    // Nobody else is about to begin it.
    lockRun(directory.path)();
    rmSync(directory.path, { recursive: true });
  }
  return raw;
}

/** Whether a coordinator ended while it made the folder of a run: it holds nothing but what comes before run.json. */
function isUnbegun(directory: RunDirectory): boolean {
  if (!existsSync(directory.path)) return false;
  const { checkpoints, logs, images, quarantined, initialWeights, identity, token, record } = directory;
  const early = [
    checkpoints,
    logs,
    images,
    quarantined,
    ...[initialWeights, identity, token],
    record,
    join(directory.path, 'lock'),
  ];
  const isEarly = (name: string) =>
    early.some((path) => {
      const temporary = /^\.(.*)\.[0-9a-f]{8}\.tmp$/.exec(name)?.[1] ?? name;
      return join(directory.path, temporary) === path;
    });
  const isEmpty = (folder: string) => !existsSync(folder) || readdirSync(folder).length === 0;
  return readdirSync(directory.path).every(isEarly) && isEmpty(checkpoints) && isEmpty(logs);
}
