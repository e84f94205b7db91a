import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RondoError } from './errors.js';

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
