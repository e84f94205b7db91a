import { RondoError } from '../../runtime/errors.js';
import { printableJson, writeLines } from '../../runtime/printable.js';
import { describeError } from '../run-store/summary.js';

interface OutputStream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

const readerIsGone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'EIO']);

/** Whether some of the output could not be written. */
export interface OutputGuard {
  readonly lost: boolean;
}

/**
 * Keeps a program running when its output cannot be written, because its results are in files. It is no error
 * when the reader of a pipe exits early (`| head`) or the terminal is closed; anything else, such as a full
 * disk, is reported once on standard error and sets `lost`.
 */
export function guardOutput(stdout: OutputStream, stderr: OutputStream): OutputGuard {
  let lost = false;
  stderr.on('error', () => {});
  stdout.on('error', (error) => {
    if (readerIsGone.has(error.code) || lost) return;
    lost = true;
    const why = error.code === 'ENOSPC' ? 'there is no room where it goes' : error.message;
    stderr.write(
      `error: cannot write to standard output: ${why}\n` +
        '  free some space there, or send the output elsewhere; the command goes on without it\n',
    );
  });
  return {
    get lost() {
      return lost;
    },
  };
}

interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * Says what went wrong and what can be done, on standard error; for machines also as a JSON line on standard
 * output. The stack only when RONDO_LOG asks for it. Returns the exit code.
 */
export function printError(
  thrown: unknown,
  { json, debug }: { json: boolean; debug: boolean },
  { stdout, stderr }: Streams,
): number {
  const error = RondoError.from(thrown);
  if (json) writeLines(stdout, [printableJson({ kind: 'error', ...describeError(error) })]);
  writeLines(stderr, [`error: ${error.message}`]);
  if (error.remedy !== undefined) writeLines(stderr, [`  ${error.remedy.replaceAll('\n', '\n  ')}`]);
  if (debug) writeLines(stderr, [describeStack(error)]);
  return error.exitCode;
}

function describeStack(error: RondoError): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return `${error.stack}${cause}`;
}
