import { existsSync, readdirSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ExportFormat, exportJob } from '../../proto/jobs.js';
import { syncDirectory, temporaryName, writeSynced } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { digestFile } from '../../runtime/file-digest.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { shellWord } from '../../runtime/printable.js';
import type { ChosenCheckpoint } from '../checkpoints/choose-checkpoint.js';
import type { JobRunner } from '../launch/run-job.js';
import type { RunRecord } from '../run-store/run-directory.js';
import { type Exported, writeModelCard } from './model-card.js';

export interface ExportOptions {
  readonly record: RunRecord;
  readonly checkpoint: ChosenCheckpoint;
  readonly format: ExportFormat;
  /** A folder that is not there yet, or is empty. */
  readonly out: string;
  onProgress(progress: { readonly done: number; readonly total: number }): void;
  readonly signal: AbortSignal;
  readonly runJob: JobRunner<typeof exportJob>;
}

const fileNames: Record<ExportFormat, string> = {
  'saved-model': 'saved_model.pb',
  safetensors: 'model.safetensors',
};

/**
 * Writes a checkpoint's network, the names of its classes (classes.json) and a model card (README.md) to a
 * folder, which is there whole or not at all. Throws failed-precondition when the folder has something in it.
 */
export async function exportRun(o: ExportOptions): Promise<Exported> {
  const { record, checkpoint, format, signal, onProgress } = o;
  const directory = resolve(o.out);
  requireFree(directory);
  const temporary = temporaryName(directory);
  const file = fileNames[format];
  try {
    makeFolder(temporary);
    const { config } = record;
    const request = { config, state: checkpoint.state, format, directory: temporary };
    const { parameters } = await o.runJob(request, { signal, onProgress });
    const written = join(temporary, file);
    const digest = await digestFile(written, '--out', signal);
    const { size: bytes } = await stat(written);
    const exported = { directory, file, bytes, digest, parameters };
    await writeSynced(join(temporary, 'classes.json'), [`${JSON.stringify(config.classes, null, 1)}\n`]);
    await writeSynced(join(temporary, 'README.md'), [
      writeModelCard({ record, checkpoint, format, exported }),
    ]);
    await syncDirectory(temporary);
    // Over a folder that is empty a rename succeeds, over any other it fails.
    await rename(temporary, directory);
    await syncDirectory(dirname(directory));
    return exported;
  } catch (thrown) {
    if (thrown instanceof RondoError) throw thrown;
    const { code, message } = RondoError.from(thrown);
    throw new RondoError(code, `cannot write ${directory}: ${message}`, {
      remedy: 'give --out a folder that can be made, with room for the network',
      cause: thrown,
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

function requireFree(directory: string): void {
  if (!existsSync(directory) || isEmptyFolder(directory)) return;
  throw new RondoError('failed-precondition', `${directory} is there already`, {
    remedy: `remove it, or give another folder: --out ${shellWord(`${directory}-2`)}`,
  });
}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false;
  }
}
