import { RondoError } from '../../runtime/errors.js';
import type { ValueType } from './value-types.js';

interface HelpText {
  /** How the help calls the value; none for a flag. */
  readonly value?: string;
  readonly text: string;
  /** What the help says of a default that is no plain value. */
  readonly defaultText?: string;
}

/** Settled options that the defaults of later ones depend on. */
export interface Settled {
  readonly data: string;
  readonly pretrained: string | null;
  readonly from: string | null;
  readonly batchSize: number;
  readonly epochs: number;
  readonly freezeEpochs: number;
  readonly earlyStopping: number | null;
}

/** Whether the sample set is trained on from random weights: it is small enough for a lighter recipe. */
export function isSampleFromScratch({ data, pretrained, from }: Settled): boolean {
  return data === 'sample' && pretrained === null && from === null;
}

/**
 * Decides the weights: recorded in run.json, kept when the run is resumed, and named in the report's recipe.
 */
export interface TrainingOption<V, Planned extends boolean = boolean> extends HelpText {
  readonly kind: 'training';
  /** Goes into the run's configuration, which both programs read, under the same name. */
  readonly planned: Planned;
  readonly type: ValueType<V>;
  readonly default: V | ((settled: Settled) => V);
  /** Its name in the recipe of reports and model cards; without one it is left out there. */
  readonly title?: string;
  /** What the recipe says of a value; null to leave it out. The value itself unless given. */
  show?(value: V): string | null;
}

/** Says where and how a run is computed; may differ each time that it is resumed. */
export interface RuntimeOption<V> extends HelpText {
  readonly kind: 'runtime';
  readonly type: ValueType<V>;
  readonly default?: V;
}

type Entry<O> = Omit<O, 'kind' | 'planned'>;

export function trainingOption<V>(entry: Entry<TrainingOption<V>>): TrainingOption<V, false> {
  return { kind: 'training', planned: false, ...entry };
}

/** A training option that the run's configuration holds as it is. */
export function planOption<V>(entry: Entry<TrainingOption<V>>): TrainingOption<V, true> {
  return { kind: 'training', planned: true, ...entry };
}

export function runtimeOption<V>(entry: Entry<RuntimeOption<V>>): RuntimeOption<V> {
  return { kind: 'runtime', ...entry };
}

/** labelSmoothing → label-smoothing: an option's name on the command line and in a config file. */
export function dashed(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The sentence of the help, with the default. */
export function describeOption(option: TrainingOption<unknown> | RuntimeOption<unknown>): string {
  const { text, defaultText, default: value } = option;
  if (defaultText !== undefined) return `${text} (default: ${defaultText})`;
  return value === undefined || value === false ? text : `${text} (default: ${value})`;
}

/** The error for options that cannot be, alone or together. */
export function refused(message: string, remedy: string): RondoError {
  return new RondoError('invalid-argument', message, { remedy });
}
