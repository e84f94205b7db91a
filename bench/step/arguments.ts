import { parseArgs } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import type { Setting } from './contestant.js';

const usage =
  'Usage: npm run bench -- step [--sizes 224,96] [--workers 1x2,4x1] [--batch 16] [--steps 2] [--repeats 5] [--arch resnet34|resnet18] [--input pixels|normalized] [--peers] [--json]';

/** So many processes at the same time, with so many threads each. */
export interface Workers {
  readonly processes: number;
  readonly threads: number;
}

export interface StepArguments extends Pick<Setting, 'arch' | 'batch' | 'input'> {
  readonly sizes: readonly number[];
  readonly workers: readonly Workers[];
  /** Of each process in each measurement. */
  readonly steps: number;
  readonly repeats: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws RondoError `invalid-argument`, with the usage as its remedy. */
export function parseStepArguments(args: readonly string[]): StepArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        sizes: { type: 'string', default: '224,96' },
        workers: { type: 'string', default: '1x2,4x1' },
        batch: { type: 'string', default: '16' },
        steps: { type: 'string', default: '2' },
        repeats: { type: 'string', default: '5' },
        arch: { type: 'string', default: 'resnet34' },
        input: { type: 'string', default: 'pixels' },
        peers: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const { peers, json } = values;
    return {
      sizes: values.sizes.split(',').map((size) => toCount('sizes', size)),
      workers: values.workers.split(',').map(toWorkers),
      batch: toCount('batch', values.batch),
      steps: toCount('steps', values.steps),
      repeats: toCount('repeats', values.repeats),
      arch: toOneOf('arch', values.arch, ['resnet34', 'resnet18']),
      input: toOneOf('input', values.input, ['pixels', 'normalized']),
      peers,
      json,
    };
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}

function toCount(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`--${option} takes positive integers, not ${text}.`);
  return value;
}

function toWorkers(text: string): Workers {
  const [processes, threads, ...more] = text.split('x');
  if (threads === undefined || more.length > 0) {
    throw new Error(`--workers takes PROCESSESxTHREADS, as in 4x1, not ${text}.`);
  }
  return { processes: toCount('workers', processes), threads: toCount('workers', threads) };
}

function toOneOf<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found === undefined) throw new Error(`--${option} is one of ${names.join(', ')}, not ${text}.`);
  return found;
}
