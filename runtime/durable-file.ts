import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The file operations that a crash or a full disk can interrupt; tests replace them. */
export interface DurableFiles {
  open(path: string, flags: string): Promise<FileHandle>;
  rename(from: string, to: string): Promise<void>;
}

export const realFiles: DurableFiles = { open, rename };

/** A name beside `path` that readers pass over; it starts with a dot and never exists twice. */
export function temporaryName(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  return `${path.slice(0, slash)}.${path.slice(slash)}.${randomBytes(4).toString('hex')}.tmp`;
}

/** Writes and syncs a file. What it writes becomes visible under its own name at once and whole, or not at all. */
export async function writeDurably(
  path: string,
  parts: Iterable<Uint8Array | string>,
  files: DurableFiles = realFiles,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await writeSynced(temporary, parts, files);
    await files.rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path), files);
}

/** Writes a file under its own name and waits until the disk has it. */
export async function writeSynced(
  path: string,
  parts: Iterable<Uint8Array | string>,
  files: DurableFiles = realFiles,
): Promise<void> {
  const file = await files.open(path, 'wx');
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes renames inside a directory survive a power cut. */
export async function syncDirectory(path: string, files: DurableFiles = realFiles): Promise<void> {
  const directory = await files.open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
