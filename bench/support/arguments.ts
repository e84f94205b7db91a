import { type ParseArgsConfig, parseArgs } from 'node:util';
import { RondoError } from '../../runtime/errors.js';

/** Options that every bench with peers has. */
export const commonOptions = {
  peers: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** Somebody asks for the usage instead. */
export class HelpRequest extends Error {
  constructor(readonly usage: string) {
    super('help was asked for');
  }
}

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * What `read` makes of the values that a command line gives `options`. @throws HelpRequest for --help;
 * RondoError `invalid-argument` with the usage as its remedy.
 */
export function readArguments<const Given extends Options, T>(
  usage: string,
  args: readonly string[],
  options: Given,
  read: (values: ReturnType<typeof parseArgs<{ options: Given }>>['values']) => T,
): T {
  if (args.includes('--help') || args.includes('-h')) throw new HelpRequest(usage);
  try {
    return read(parseArgs({ args: [...args], options }).values);
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
