import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type ErrorCode, RondoError } from './errors.js';

/** SHA-256 of a file, in hex. Throws not-found and the like, naming the option that asked for it. */
export async function digestFile(path: string, option: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer);
    }
    return hash.digest('hex');
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = RondoError.from(error);
    const what = faultOf(path, code, message);
    throw new RondoError(code, `${option}: ${what}`, { remedy: `give ${option} another file`, cause: error });
  }
}

function faultOf(path: string, code: ErrorCode, message: string): string {
  if (code === 'not-found') return `there is no file ${path}`;
  return message.startsWith('EISDIR') ? `${path} is a folder` : `cannot read ${path}: ${message}`;
}
