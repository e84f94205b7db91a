import { RondoError } from '../../runtime/errors.js';

/** Options that every bench with peers has. */
export const commonOptions = {
  peers: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** What `read` makes of a command line. @throws RondoError `invalid-argument`, with the usage as its remedy. */
export function readArguments<T>(usage: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}

export function toCount(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`--${option} takes positive integers, not ${text}.`);
  }
  return value;
}

export function toCounts(option: string, text: string): number[] {
  return text.split(',').map((each) => toCount(option, each));
}

export function toOneOf<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new Error(`--${option} is one of ${names.join(', ')}, not ${text}.`);
  return found;
}

export function toSome<Name extends string>(option: string, text: string, names: readonly Name[]): Name[] {
  return text.split(',').map((each) => toOneOf(option, each, names));
}
