import { commonOptions, readArguments, toCount, toCounts, toOneOf } from '../support/arguments.js';
import { toWorkers, type Workers } from '../support/workers.js';
import { precisions, type Setting } from './implementation.js';

export interface ComputeArguments extends Pick<Setting, 'arch' | 'batch' | 'input' | 'precision' | 'device'> {
  readonly sizes: readonly number[];
  readonly workers: readonly Workers[];
  /** Of each process in each turn. */
  readonly steps: number;
  readonly repeats: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** What a bench measures when it is told nothing, as the options' texts. */
export interface Defaults {
  readonly workers: string;
  readonly batch: string;
  readonly steps: string;
}

/** @throws what `readArguments` does */
export function parseComputeArguments(
  bench: string,
  defaults: Defaults,
  args: readonly string[],
): ComputeArguments {
  const usage = `Usage: npm run bench -- ${bench} [--sizes 224,96] [--workers ${defaults.workers}] [--batch ${defaults.batch}] [--steps ${defaults.steps}] [--repeats 5] [--arch resnet34|resnet18] [--input pixels|normalized] [--precision float32|tf32|bfloat16] [--device cpu|gpu] [--peers] [--json]`;
  const options = {
    ...commonOptions,
    sizes: { type: 'string', default: '224,96' },
    workers: { type: 'string', default: defaults.workers },
    batch: { type: 'string', default: defaults.batch },
    steps: { type: 'string', default: defaults.steps },
    repeats: { type: 'string', default: '5' },
    arch: { type: 'string', default: 'resnet34' },
    input: { type: 'string', default: 'pixels' },
    precision: { type: 'string', default: 'float32' },
    device: { type: 'string', default: 'cpu' },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { peers, json } = values;
    return {
      sizes: toCounts('sizes', values.sizes),
      workers: toWorkers('workers', values.workers),
      batch: toCount('batch', values.batch),
      steps: toCount('steps', values.steps),
      repeats: toCount('repeats', values.repeats),
      arch: toOneOf('arch', values.arch, ['resnet34', 'resnet18']),
      input: toOneOf('input', values.input, ['pixels', 'normalized']),
      precision: toOneOf('precision', values.precision, precisions),
      device: toOneOf('device', values.device, ['cpu', 'gpu']),
      peers,
      json,
    };
  });
}
