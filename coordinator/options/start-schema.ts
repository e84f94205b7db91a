import { RondoError } from '../../runtime/errors.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import { dataOptions } from './data-options.js';
import { networkOptions } from './network-options.js';
import { dashed, type RuntimeOption, type TrainingOption } from './option.js';
import { recipeOptions } from './recipe-options.js';
import { clusterOptions, runOptions } from './run-options.js';

/** The help's headings, in its order, and the options under each. */
export const optionGroups = {
  'Data:': dataOptions,
  'Network:': networkOptions,
  'Recipe:': recipeOptions,
  'Workers and addresses:': clusterOptions,
  'Run and output:': runOptions,
};

/**
 * Every option of `coordinator start`: the command line, its help, config files, the recorded configuration
 * and the report's recipe are made from this table. An option whose default depends on another one stands
 * after it.
 */
export const startTable = {
  ...dataOptions,
  ...networkOptions,
  ...recipeOptions,
  ...clusterOptions,
  ...runOptions,
};
export type StartTable = typeof startTable;

/** Options as they were given, under their names on the command line and in a config file. */
export type RawStart = Readonly<Record<string, unknown>>;

/** The options that were given, each with a value that it can have. */
export type ParsedStart = {
  readonly [K in keyof StartTable]?: StartTable[K] extends TrainingOption<infer V> | RuntimeOption<infer V>
    ? V
    : never;
};

type TrainingName = {
  [K in keyof StartTable]: StartTable[K] extends TrainingOption<unknown> ? K : never;
}[keyof StartTable];
/** Those that the run's configuration holds as they are. */
export type PlannedName = {
  [K in keyof StartTable]: StartTable[K] extends TrainingOption<unknown, true> ? K : never;
}[keyof StartTable];

/** What decides the weights. Recorded in run.json; a resumed run keeps it. */
export type TrainingOptions = {
  readonly [K in TrainingName]: StartTable[K] extends TrainingOption<infer V> ? V : never;
};

export const startOptionNames = Object.keys(startTable).map(dashed);

/**
 * Each value by itself: its type and range. Throws invalid-argument that names every option that is wrong.
 */
export function parseStart(raw: RawStart): ParsedStart {
  const parsed: Record<string, unknown> = {};
  const sentences: string[] = Object.keys(raw)
    .filter((name) => !startOptionNames.includes(name))
    .map((name) => `there is no option --${name}`);
  for (const [key, { type }] of Object.entries(startTable)) {
    const name = dashed(key);
    if (raw[name] === undefined) continue;
    parsed[key] = type.read(raw[name]);
    if (parsed[key] !== undefined) continue;
    sentences.push(`--${name} is ${show(raw[name])}, but must be ${type.expected}`);
  }
  if (sentences.length === 0) return parsed;
  throw new RondoError('invalid-argument', sentences.join('\n'), {
    remedy: '`coordinator start --help` lists every option with its default',
  });
}

function show(value: unknown): string {
  return typeof value === 'string' ? `"${maskUrls(value)}"` : maskUrls(JSON.stringify(value));
}
