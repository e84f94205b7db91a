import { dirname } from 'node:path';
import { RondoError } from './errors.js';

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
