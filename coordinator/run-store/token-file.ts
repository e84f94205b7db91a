import { rmSync, writeFileSync } from 'node:fs';
import { RondoError } from '../../runtime/errors.js';

/** Writes the run's token where `worker join --token-file` finds it, readable by this user alone. */
export function writeTokenFile(path: string, token: string): void {
  try {
    // The file's mode counts when it is made, and a link that stands there is not followed.
    rmSync(path, { force: true });
    writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw RondoError.from(error);
  }
}

/** Never throws: a token is worth nothing once its run is over. */
export function removeTokenFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}
