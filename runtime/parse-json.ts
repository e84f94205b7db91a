import type { z } from 'zod';
import { type ErrorCode, RondoError } from './errors.js';

/** Where a text comes from, and what its reader can do when it is not what it should be. */
export interface JsonSource {
  /** Names it in messages, such as a file's path. */
  readonly name: string;
  /** Counted from 1, in a file of lines. */
  readonly line?: number;
  /** data-loss unless given. */
  readonly code?: ErrorCode;
  readonly remedy?: string;
  /** The newest `formatVersion` that is understood; the text need not name its own. */
  readonly formatVersion?: number;
}

const changed = 'the file was changed after it was written; restore it from a copy';

/**
 * Reads what another process wrote as JSON. Fields that the schema does not name are left out.
 *
 * @throws RondoError that names the source, the line and the field of what is not JSON or does not fit, and
 * failed-precondition for a newer format version.
 */
export function parseJson<T>(schema: z.ZodType<T>, text: string, source: JsonSource): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw misfit(source, ' is not JSON', cause);
  }
  return parseValue(schema, value, source);
}

/** As `parseJson`, of JSON that was read already. */
export function parseValue<T>(schema: z.ZodType<T>, value: unknown, source: JsonSource): T {
  checkFormatVersion(value, source);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw misfit(source, `: ${describeIssue(result.error)}`, result.error);
}

/** The first field that does not fit, as in `phases.0.epochs: Invalid input: expected number`. */
function describeIssue({ issues }: z.ZodError): string {
  const { path, message } = issues[0]!;
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

function checkFormatVersion(value: unknown, { name, formatVersion: known }: JsonSource): void {
  if (known === undefined || typeof value !== 'object' || value === null) return;
  const written: unknown = Reflect.get(value, 'formatVersion');
  if (typeof written !== 'number' || written <= known) return;
  const text = `${name} has format version ${written}; this version of Rondo reads up to ${known}`;
  throw new RondoError('failed-precondition', text, {
    remedy: 'use the version of Rondo that wrote it, or a later one',
  });
}

function misfit(source: JsonSource, what: string, cause: unknown): RondoError {
  const { name, line, code = 'data-loss', remedy = changed } = source;
  const place = line === undefined ? name : `${name}, line ${line}`;
  const comma = line !== undefined && what.startsWith(' ') ? ',' : '';
  return new RondoError(code, `${place}${comma}${what}`, { remedy, cause });
}
