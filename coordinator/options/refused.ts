import { RondoError } from '../../runtime/errors.js';

/** The error for options that cannot be, alone or together. */
export function refused(message: string, remedy: string): RondoError {
  return new RondoError('invalid-argument', message, { remedy });
}
