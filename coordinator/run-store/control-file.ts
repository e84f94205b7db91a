import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { parseJson } from '../../runtime/parse-json.js';
import { shellWord } from '../../runtime/printable.js';
import { isLocked, type RunDirectory, writeTokenFile } from './run-directory.js';

const schema = z.object({ address: z.string(), token: z.string() });

/** Where a run that goes on is asked, and with which secret. */
export type ControlFile = Readonly<z.infer<typeof schema>>;

/** Readable by this user alone. */
export function writeControlFile(path: string, content: ControlFile): void {
  writeTokenFile(path, JSON.stringify(content));
}

/** @throws RondoError failed-precondition when the run does not go on, or cannot be asked. */
export function readControlFile({ control, path, runId }: RunDirectory): ControlFile {
  if (!isLocked(path)) {
    throw new RondoError('failed-precondition', `run ${runId} is not running`, {
      remedy: `its coordinator goes on with it by: coordinator start --resume ${shellWord(path)}`,
    });
  }
  let text: string;
  try {
    text = readFileSync(control, 'utf8');
  } catch (thrown) {
    const { code, message } = RondoError.from(thrown);
    const why = code === 'not-found' ? 'it is still starting, or ending' : message;
    throw new RondoError('failed-precondition', `run ${runId} cannot be asked: ${why}`, {
      remedy: 'try again in a moment, as the user who started it, on the same machine',
    });
  }
  return parseJson(schema, text, { name: control, remedy: 'resume the run: it writes the file anew' });
}
