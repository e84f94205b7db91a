import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { parseJson } from '../../runtime/parse-json.js';

const sourceSchema = z.object({
  url: z.string(),
  /** The server's ETag or, failing that, Last-Modified; empty when it tells neither. */
  validator: z.string(),
  /** Bytes of the whole file; 0 when the server did not say. */
  total: z.int().nonnegative(),
});

/** What a part is a part of: enough to ask for the rest of the same bytes. */
export type PartSource = Readonly<z.infer<typeof sourceSchema>>;

export interface Part extends PartSource {
  /** Bytes that are there, at least one. */
  readonly size: number;
}

/** The part at `path`, or null when there is none of this URL that can be gone on with. */
export async function readPart(path: string, url: string): Promise<Part | null> {
  const size = await sizeOf(path);
  const source = await readSource(path);
  if (size === 0 || source?.url !== url || source.validator === '') return null;
  if (source.total > 0 && size > source.total) return null;
  return { ...source, size };
}

/** Bytes of the file at `path`; 0 when there is none. */
export async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}

export async function noteSource(path: string, { url, validator, total }: PartSource): Promise<void> {
  await writeFile(notesOf(path), JSON.stringify({ url, validator, total }));
}

export async function removePart(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(notesOf(path), { force: true });
}

/** Gives a part that is whole its name. */
export async function promotePart(path: string, file: string): Promise<void> {
  await rename(path, file);
  await rm(notesOf(path), { force: true });
}

async function readSource(path: string): Promise<PartSource | null> {
  try {
    return parseJson(sourceSchema, await readFile(notesOf(path), 'utf8'), { name: notesOf(path) });
  } catch {
    // Absent, damaged, or cut short by a crash: the part starts over.
    return null;
  }
}

function notesOf(path: string): string {
  return `${path}.json`;
}
