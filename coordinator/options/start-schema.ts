import { z } from 'zod';
import type { LearningRateSpec } from '../../plan/layer-learning-rates.js';
import { archs, augmentKinds, type FloatType, headKinds } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { splitKinds } from '../dataset/split.js';

/** `balanced`: all classes have the same share of the loss, however many images they have. */
export const classWeightings = ['none', 'balanced'] as const;
export type ClassWeighting = (typeof classWeightings)[number];

/** What says which epoch is best: the lower the better, but for macro F1. */
export const epochMeasures = [
  'valid_loss',
  'error_rate',
  'balanced_error',
  'macro_f1',
  'top5_error',
] as const;
export type EpochMeasure = (typeof epochMeasures)[number];

const floatTypes: readonly FloatType[] = ['float32', 'bfloat16'];
const learningRateText = 'a number above 0 and up to 10, or min,max with min not above max, or ,max';

/**
 * Options of `coordinator start` under their names on the command line and in a config file. Values come as text
 * from the one and as YAML's types from the other.
 */
const schema = z.strictObject({
  workers: integer(1, 1024).optional(),
  'local-workers': integer(0, 1024).optional(),
  threads: integer(1, 1024).optional(),
  data: text('a folder, "sample", or the name of a data set').optional(),
  'label-pattern': field('a regular expression with exactly one capture group', readLabelPattern).optional(),
  labels: text('a CSV file').optional(),
  valid: text('a folder').optional(),
  'valid-pct': number('a fraction above 0 and below 1, such as 0.2', (n) => n > 0 && n < 1).optional(),
  split: oneOf(splitKinds).optional(),
  'skip-broken': flag().optional(),
  seed: integer(0, 2 ** 32 - 1).optional(),
  arch: oneOf(archs).optional(),
  head: oneOf(headKinds).optional(),
  size: integer(32, 1024).optional(),
  augment: oneOf(augmentKinds).optional(),
  'batch-size': integer(2, 65_536).optional(),
  'micro-batch': integer(2, 4096).optional(),
  epochs: integer(0, 100_000).optional(),
  'freeze-epochs': integer(0, 100_000).optional(),
  lr: field(learningRateText, readLearningRate).optional(),
  'unfreeze-lr': field(learningRateText, readLearningRate).optional(),
  'weight-decay': number('a number from 0 up to, but not including, 1', (n) => n >= 0 && n < 1).optional(),
  'class-weights': oneOf(classWeightings).optional(),
  'label-smoothing': number('a number from 0 up to, but not including, 1', (n) => n >= 0 && n < 1).optional(),
  mixup: number('a number from 0 to 100, such as 0.4', (n) => n >= 0 && n <= 100).optional(),
  'clip-norm': number('a number above 0', (n) => n > 0).optional(),
  ema: number('a number above 0 and below 1, such as 0.999', (n) => n > 0 && n < 1).optional(),
  'early-stopping': integer(1, 100_000).optional(),
  'keep-best': oneOf(epochMeasures).optional(),
  pretrained: text('a file of weights, "imagenet" or "none"').optional(),
  from: text('a run, or the folder of a checkpoint').optional(),
  precision: oneOf(floatTypes).optional(),
  wire: oneOf(floatTypes).optional(),
  lanes: integer(1, 4).optional(),
  nats: field('a URL such as nats://127.0.0.1:4222', readNatsUrl).optional(),
  listen: field('HOST:PORT, such as 127.0.0.1:7070 (port 0: any free one)', readAddress).optional(),
  'run-dir': text('a folder').optional(),
  name: field('1 to 64 letters, digits, "-" or "_"', readName).optional(),
  resume: text('the name or folder of a run').optional(),
  json: flag().optional(),
});

export type RawStart = Readonly<Record<string, unknown>>;
export type ParsedStart = z.infer<typeof schema>;
export type StartOptionName = keyof ParsedStart;

export const startOptionNames = Object.keys(schema.shape) as StartOptionName[];

/** Each value by itself: its type and range. Throws invalid-argument that names every option that is wrong. */
export function parseStart(raw: RawStart): ParsedStart {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const sentences = result.error.issues.map((issue) => {
    const name = String(issue.path[0]);
    return issue.code === 'custom'
      ? `--${name} is ${show(raw[name])}, but must be ${issue.message}`
      : issue.message;
  });
  throw new RondoError('invalid-argument', sentences.join('\n'), {
    remedy: '`coordinator start --help` lists every option with its default',
  });
}

function field<T>(expected: string, read: (value: unknown) => T | undefined) {
  return z.unknown().transform((value, context) => {
    const result = read(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });
}

function text(expected: string) {
  return field(expected, (value) => (typeof value === 'string' && value.trim() !== '' ? value : undefined));
}

function flag() {
  return field('true or false', (value) => (typeof value === 'boolean' ? value : undefined));
}

function number(expected: string, accepts: (value: number) => boolean) {
  return field(expected, (value) => {
    const result = readNumber(value);
    return result !== undefined && accepts(result) ? result : undefined;
  });
}

function integer(min: number, max: number) {
  return number(
    `a whole number from ${min} to ${max}`,
    (n) => Number.isSafeInteger(n) && n >= min && n <= max,
  );
}

function oneOf<const T extends string>(values: readonly T[]) {
  return field(`one of ${values.join(', ')}`, (value) => values.find((candidate) => candidate === value));
}

function readNumber(value: unknown): number | undefined {
  const result = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof result === 'number' && Number.isFinite(result) ? result : undefined;
}

/** A number, `min,max`, or `,max`; in YAML also a list of two, the first of which may be null. */
function readLearningRate(value: unknown): LearningRateSpec | undefined {
  const parts: readonly unknown[] = Array.isArray(value) ? value : String(value).split(',');
  const [first, second] = parts;
  const max = readRate(parts.length === 1 ? first : second);
  if (max === undefined || parts.length > 2) return undefined;
  if (parts.length === 1) return max;
  if (first === null || (typeof first === 'string' && first.trim() === '')) return { max };
  const min = readRate(first);
  return min !== undefined && min <= max ? { min, max } : undefined;
}

function readRate(value: unknown): number | undefined {
  const rate = readNumber(value);
  return rate !== undefined && rate > 0 && rate <= 10 ? rate : undefined;
}

function readLabelPattern(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    // An alternative that matches nothing makes every group show up in the result.
    return new RegExp(`${value}|`).exec('')?.length === 2 ? value : undefined;
  } catch {
    return undefined;
  }
}

function readNatsUrl(value: unknown): string | undefined {
  if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
  const { protocol, hostname } = new URL(value);
  return ['nats:', 'tls:'].includes(protocol) && hostname !== '' ? value : undefined;
}

function readAddress(value: unknown): string | undefined {
  const match = /^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(String(value));
  return match && Number(match[2]) <= 65_535 ? match[0] : undefined;
}

function readName(value: unknown): string | undefined {
  return /^[A-Za-z0-9_-]{1,64}$/.test(String(value)) ? String(value) : undefined;
}

function show(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : JSON.stringify(value);
}
