import { RondoError } from '../../runtime/errors.js';
import { printableJson } from '../../runtime/printable.js';
import { describeError } from '../run-store/summary.js';
import { writeLines } from '../terminal/write-lines.js';

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
