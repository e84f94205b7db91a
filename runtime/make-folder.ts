import { mkdirSync, mkdtempSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { RondoError } from './errors.js';

/** Where the kernel shows its own state: nothing can be kept there. */
const kernelFolder = /^\/(?:proc|sys)(?=\/|$)/;

/**
 * Makes a folder, and those above it that are missing; nothing when it is there. Node's own recursive mkdir
 * never returns where the kernel refuses a folder with ENOENT, as in /proc.
 *
 * @throws RondoError invalid-argument for a folder in /proc or /sys, by whatever link; what the system throws.
 */
export function makeFolder(folder: string, { mode = 0o777 }: { readonly mode?: number } = {}): void {
  const wanted = resolve(folder);
  const missing: string[] = [];
  let above = wanted;
  while (realPathOf(above) === null && dirname(above) !== above) {
    missing.push(above);
    above = dirname(above);
  }
  const real = join(realPathOf(above) ?? above, relative(above, wanted));
  const kernels = kernelFolder.exec(real)?.[0];
  if (kernels !== undefined) {
    const text = `${folder} is in ${kernels}, where the kernel shows its own state and nothing can be kept`;
    throw new RondoError('invalid-argument', text, { remedy: 'choose a folder on a disk' });
  }
  for (const each of missing.reverse()) makeOne(each, mode);
  if (!isFolder(wanted)) makeOne(wanted, mode);
}

function makeOne(folder: string, mode: number): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isFolder(folder)) throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function realPathOf(path: string): string | null {
  try {
    return realpathSync(path);
  } catch (error) {
    // A part of it is missing; or is a file, which making the folder then says.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

/**
 * A new, private folder among the system's temporary ones; the caller removes it. Throws an error that names
 * TMPDIR.
 */
export function makeTemporaryFolder(prefix: string): string {
  try {
    return mkdtempSync(join(tmpdir(), prefix));
  } catch (thrown) {
    throw cannotUseTemporary(thrown);
  }
}

/** What went wrong among temporary files, with the remedy that helps for them. */
export function cannotUseTemporary(thrown: unknown): RondoError {
  const { code, message } = RondoError.from(thrown);
  const why = code === 'resource-exhausted' ? 'it is full' : message;
  // Where the folder is wrong the user's environment is, not a file that was asked for.
  return new RondoError(
    code === 'not-found' ? 'failed-precondition' : code,
    `cannot write to ${tmpdir()}, the folder for temporary files: ${why}`,
    {
      remedy: 'set TMPDIR to a folder that can be written to and has some hundred megabytes of room',
      cause: thrown,
    },
  );
}
