import { resolve } from 'node:path';
import type { LearningRateSpec } from '../../plan/learning-rates.js';
import { isUrl } from '../../runtime/storage/store.js';
import { publicUrl } from '../../runtime/storage/url-access.js';

/** How an option's value is read: from text on the command line, and from YAML's types in a config file. */
export interface ValueType<V> {
  /** What a value must be, for the sentence that refuses another one. */
  readonly expected: string;
  /** Undefined for a value that it cannot be. */
  read(value: unknown): V | undefined;
}

export function text(expected: string): ValueType<string> {
  return {
    expected,
    read: (value) => (typeof value === 'string' && value.trim() !== '' ? value : undefined),
  };
}

/** Text that names a file or folder, as an absolute path, or a URL; `isName` says which texts are neither. */
export function path(expected: string, isName: (value: string) => boolean = () => false): ValueType<string> {
  const { read } = text(expected);
  return {
    expected,
    read(value) {
      const given = read(value);
      return given === undefined || isName(given) ? given : resolvePlace(given);
    },
  };
}

/** An absolute path, or the URL that is given, whose secrets go no further (`publicUrl`). */
export function resolvePlace(place: string): string {
  return isUrl(place) ? publicUrl(place) : resolve(place);
}

export function number(expected: string, accepts: (value: number) => boolean): ValueType<number> {
  return {
    expected,
    read(value) {
      const result = readNumber(value);
      return result !== undefined && accepts(result) ? result : undefined;
    },
  };
}

export function integer(min: number, max: number): ValueType<number> {
  return number(
    `a whole number from ${min} to ${max}`,
    (n) => Number.isSafeInteger(n) && n >= min && n <= max,
  );
}

/** Of seconds. */
export const duration: ValueType<number> = number(
  'a number of seconds from 0.5 to 3600',
  (n) => n >= 0.5 && n <= 3600,
);

export function oneOf<const T extends string>(values: readonly T[]): ValueType<T> {
  return {
    expected: `one of ${values.join(', ')}`,
    read: (value) => values.find((candidate) => candidate === value),
  };
}

export const flag: ValueType<boolean> = {
  expected: 'true or false',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
};

/**
 * A number, `min,max`, or `,max`; in YAML also a list of two, the first of which may be null, and in run.json
 * what it was read as.
 */
export const learningRate: ValueType<LearningRateSpec> = {
  expected: 'a number above 0 and up to 10, or min,max with min not above max, or ,max',
  read(value) {
    if (isRange(value)) return learningRate.read([value.min ?? null, value.max]);
    const parts: readonly unknown[] = Array.isArray(value) ? value : String(value).split(',');
    const [first, second] = parts;
    const max = readRate(parts.length === 1 ? first : second);
    if (max === undefined || parts.length > 2) return undefined;
    if (parts.length === 1) return max;
    if (first === null || (typeof first === 'string' && first.trim() === '')) return { max };
    const min = readRate(first);
    return min !== undefined && min <= max ? { min, max } : undefined;
  },
};

/** A regular expression with one capture group. */
export const capturingPattern: ValueType<string> = {
  expected: 'a regular expression with exactly one capture group',
  read(value) {
    if (typeof value !== 'string') return undefined;
    try {
      // An alternative that matches nothing makes every group show up in the result.
      return new RegExp(`${value}|`).exec('')?.length === 2 ? value : undefined;
    } catch {
      return undefined;
    }
  },
};

export const natsUrl: ValueType<string> = {
  expected: 'a URL such as nats://127.0.0.1:4222',
  read(value) {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const { protocol, hostname } = new URL(value);
    return ['nats:', 'tls:'].includes(protocol) && hostname !== '' ? value : undefined;
  },
};

export const hostPort: ValueType<string> = {
  expected: 'HOST:PORT, such as 127.0.0.1:7070 (port 0: any free one)',
  read(value) {
    const match = /^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(String(value));
    return match && Number(match[2]) <= 65_535 ? match[0] : undefined;
  },
};

export const plainName: ValueType<string> = {
  expected: '1 to 64 letters, digits, "-" or "_"',
  read: (value) => (/^[A-Za-z0-9_-]{1,64}$/.test(String(value)) ? String(value) : undefined),
};

function isRange(value: unknown): value is { readonly min?: unknown; readonly max: unknown } {
  return typeof value === 'object' && value !== null && 'max' in value;
}

function readNumber(value: unknown): number | undefined {
  const result = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof result === 'number' && Number.isFinite(result) ? result : undefined;
}

function readRate(value: unknown): number | undefined {
  const rate = readNumber(value);
  return rate !== undefined && rate > 0 && rate <= 10 ? rate : undefined;
}
