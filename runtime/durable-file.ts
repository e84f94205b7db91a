import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RondoError } from './errors.js';

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

/**
 * Gives the folder `temporary` the name `path`, in place of a folder that has it. A crash in between leaves
 * the old one under a name from which `restoreReplaced` brings it back: a folder cannot be renamed over
 * another.
 */
export async function replaceFolder(
  temporary: string,
  path: string,
  files: DurableFiles = realFiles,
): Promise<void> {
  const old = temporaryName(path).replace(/tmp$/, 'old');
  await rename(path, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  try {
    await files.rename(temporary, path);
  } catch (error) {
    await rename(old, path).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path), files);
  await rm(old, { recursive: true, force: true });
}

/**
 * Completes what interrupted writes in `folder` left: brings back what was to be replaced and was not,
 * removes the rest.
 */
export async function restoreReplaced(folder: string): Promise<void> {
  const names = await readdir(folder);
  for (const name of names.filter((candidate) => candidate.startsWith('.'))) {
    const replaced = /^\.(.+)\.[0-9a-f]{8}\.old$/.exec(name)?.[1];
    if (replaced !== undefined && !existsSync(join(folder, replaced))) {
      await rename(join(folder, name), join(folder, replaced));
    } else {
      await rm(join(folder, name), { recursive: true, force: true });
    }
  }
}

/**
 * Writes and syncs a file. What it writes becomes visible under its own name at once and whole, or not at
 * all. Throws a RondoError that names it.
 */
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
    throw cannotWrite(path, error);
  }
  await syncDirectory(dirname(path), files);
}

/** The same for a few bytes that only this user may read, without giving way to anything else meanwhile. */
export function writeDurablyAtOnce(path: string, text: string): void {
  const temporary = temporaryName(path);
  try {
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw cannotWrite(path, error);
  }
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

/**
 * What went wrong with writing `path`, in one sentence that names it, and what can be done. An error of the
 * system may not name the file: writing to an open one does not.
 */
export function cannotWrite(path: string, thrown: unknown): RondoError {
  // One that was made of the system's own words says too little.
  if (thrown instanceof RondoError && !/^E[A-Z]+: /.test(thrown.message)) return thrown;
  const { code, message } = RondoError.from(thrown);
  if (code === 'resource-exhausted') {
    return new RondoError(code, `there is no room to write ${path}`, {
      remedy: `free some space in ${dirname(path)}`,
      cause: thrown,
    });
  }
  const remedy =
    code === 'permission-denied' || code === 'not-found'
      ? `make sure that ${dirname(path)} is there and can be written to`
      : undefined;
  return new RondoError(code, `cannot write ${path}: ${message}`, {
    cause: thrown,
    ...(remedy === undefined ? {} : { remedy }),
  });
}
