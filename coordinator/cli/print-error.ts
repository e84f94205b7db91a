import { RondoError } from '../../runtime/errors.js';
import { describeError } from '../run-store/summary.js';

interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * Says what went wrong and what can be done, on standard error; for machines also as a JSON line on standard output.
 * The stack only when RONDO_LOG asks for it. Returns the exit code.
 */
export function printError(
  thrown: unknown,
  { json, debug }: { json: boolean; debug: boolean },
  { stdout, stderr }: Streams,
): number {
  const error = RondoError.from(thrown);
  if (json) stdout.write(`${JSON.stringify({ kind: 'error', ...describeError(error) })}\n`);
  stderr.write(`error: ${error.message}\n`);
  if (error.remedy !== undefined) stderr.write(`  ${error.remedy.replaceAll('\n', '\n  ')}\n`);
  if (debug) stderr.write(`${describeStack(error)}\n`);
  return error.exitCode;
}

function describeStack(error: RondoError): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : '';
  return `${error.stack}${cause}`;
}
