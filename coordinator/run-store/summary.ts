import { renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { runFormatVersion, summarySchema } from '../../proto/run-files.js';
import { temporaryName, writeDurably } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';
import type { RunDirectory } from './run-directory.js';

const remedy = 'remove the file: the run is then one that has not ended, and can be resumed';

/** How a run ended. Written for completed, stopped and failed runs alike. */
export type Summary = Readonly<z.infer<typeof summarySchema>>;

/** How training ended; `error` is null unless it failed. */
export interface Ending {
  readonly status: Summary['status'];
  readonly earlyStopped?: boolean;
  readonly error: RondoError | null;
  readonly metrics: { readonly published: number; readonly dropped: number };
}

export function describeError(error: RondoError): NonNullable<Summary['error']> {
  return { code: error.code, message: error.message, remedy: error.remedy ?? null };
}

export async function writeSummary(directory: RunDirectory, summary: Summary): Promise<void> {
  await writeDurably(directory.summary, [encode(summary)]);
}

/** For the last moment of a process, when nothing can be waited for: there whole or not at all. */
export function writeSummaryAtOnce(directory: RunDirectory, summary: Summary): void {
  const temporary = temporaryName(directory.summary);
  writeFileSync(temporary, encode(summary));
  renameSync(temporary, directory.summary);
}

/**
 * Null when the run has not ended yet, or was killed before it could say how. Throws data-loss that names the
 * field for a damaged one.
 */
export async function readSummary({ summary: name }: RunDirectory): Promise<Summary | null> {
  let text: string;
  try {
    text = await readFile(name, 'utf8');
  } catch (thrown) {
    const error = RondoError.from(thrown);
    if (error.code === 'not-found') return null;
    throw error;
  }
  return parseJson(summarySchema, text, { name, remedy, formatVersion: runFormatVersion });
}

function encode(summary: Summary): string {
  return `${JSON.stringify({ formatVersion: runFormatVersion, ...summary }, null, 2)}\n`;
}
