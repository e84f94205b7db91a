import { RondoError } from '../../runtime/errors.js';

/** What a job tells on a line of its standard output. */
export type JobLine =
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'item'; readonly value: object }
  | { readonly kind: 'result'; readonly value: object }
  | { readonly kind: 'error'; readonly error: RondoError };

/** Null for a line that is none of the job's own: a library may print there too. */
export function readJobLine(text: string): JobLine | null {
  const line = parse(text);
  switch (line?.kind) {
    case 'progress':
      return { kind: 'progress', done: line.done as number, total: line.total as number };
    case 'item':
      return { kind: 'item', value: line.value as object };
    case 'result': {
      const { kind, ...value } = line;
      return { kind, value };
    }
    case 'error':
      return { kind: 'error', error: RondoError.fromPlain(line) };
    default:
      return null;
  }
}

function parse(text: string): (Record<string, unknown> & { kind?: unknown }) | null {
  if (!text.startsWith('{')) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null;
  }
}
