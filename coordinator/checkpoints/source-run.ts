import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { defaults } from '../options/defaults.js';
import { refused } from '../options/refused.js';
import type { RawStart, TrainingOptions } from '../options/start-schema.js';
import {
  findRunDirectory,
  type RunDirectory,
  type RunRecord,
  readRunRecord,
  runDirectoryAt,
} from '../run-store/run-directory.js';
import { type ChosenCheckpoint, chooseCheckpoint } from './choose-checkpoint.js';

/** What --from stands for: a run and one of its checkpoints, whose bytes are checked. */
export interface SourceRun {
  readonly record: RunRecord;
  readonly checkpoint: ChosenCheckpoint;
}

/**
 * The options with the architecture of the run that --from names, which a new run must have too, and with its
 * kind of head, unless they are given; without --from they stay as they are. Throws not-found when there is
 * no such run.
 */
export function adoptArch(raw: RawStart): RawStart {
  const { from, resume, 'run-dir': runDir = defaults.runDir } = raw;
  if (typeof from !== 'string' || typeof runDir !== 'string' || resume !== undefined) return raw;
  if (raw.arch !== undefined && raw.head !== undefined) return raw;
  const { arch, head } = readRunRecord(locate(from, runDir).directory).config;
  return { ...raw, arch: raw.arch ?? arch, head: raw.head ?? head };
}

/**
 * Finds --from: the folder of a checkpoint, or a run by name or folder and then its best checkpoint. Throws
 * not-found, data-loss for damaged files, invalid-argument when the new run has another architecture.
 */
export async function findSource(
  from: string,
  runDir: string,
  { arch }: Pick<TrainingOptions, 'arch'>,
): Promise<SourceRun> {
  const { directory, checkpoint } = locate(from, runDir);
  const record = readRunRecord(directory);
  if (record.config.arch !== arch) {
    throw refused(
      `--arch is ${arch}, but run ${record.runId}, which --from names, trained ${record.config.arch}`,
      'leave --arch out',
    );
  }
  return { record, checkpoint: await chooseCheckpoint(directory, checkpoint) };
}

function locate(from: string, runDir: string): { directory: RunDirectory; checkpoint: string | undefined } {
  for (const path of [from, join(runDir, from)]) {
    const run = dirname(dirname(resolve(path)));
    if (existsSync(join(path, 'checkpoint.json')) && existsSync(runDirectoryAt(run).record)) {
      return { directory: runDirectoryAt(run), checkpoint: basename(resolve(path)) };
    }
  }
  return { directory: findRunDirectory(from, runDir), checkpoint: undefined };
}
