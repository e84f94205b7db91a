import { type Precision, precisions } from '../compute/implementation.js';
import { commonOptions, readArguments, toCount, toCounts, toOneOf, toSome } from '../support/arguments.js';

export interface DeviceArguments {
  readonly device: 'auto' | 'cpu' | 'gpu';
  readonly precisions: readonly Precision[];
  /** Of the images/s; the first is also that of the hand-over and of the unrepeatable kernels. */
  readonly batches: readonly number[];
  readonly size: number;
  readonly threads: number;
  /** After so many, parts that have not begun are left out. */
  readonly minutes: number;
  readonly steps: number;
  readonly repeats: number;
  /** The file to write the results that others are compared with to, instead of measuring. */
  readonly store: string | null;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws what `readArguments` does */
export function parseDeviceArguments(args: readonly string[]): DeviceArguments {
  const usage =
    'Usage: npm run bench -- device [--device auto|cpu|gpu] [--precisions bfloat16,tf32,float32] [--batches 64,16,256] ' +
    '[--size 224] [--threads 8] [--minutes 30] [--steps 10] [--repeats 3] [--peers] [--json] [--store FILE]';
  const options = {
    ...commonOptions,
    device: { type: 'string', default: 'auto' },
    precisions: { type: 'string', default: 'bfloat16,tf32,float32' },
    batches: { type: 'string', default: '64,16,256' },
    size: { type: 'string', default: '224' },
    threads: { type: 'string', default: '8' },
    minutes: { type: 'string', default: '30' },
    steps: { type: 'string', default: '10' },
    repeats: { type: 'string', default: '3' },
    store: { type: 'string' },
  } as const;
  return readArguments(usage, args, options, (values) => ({
    device: toOneOf('device', values.device, ['auto', 'cpu', 'gpu']),
    precisions: toSome('precisions', values.precisions, precisions),
    batches: toCounts('batches', values.batches),
    size: toCount('size', values.size),
    threads: toCount('threads', values.threads),
    minutes: toCount('minutes', values.minutes),
    steps: toCount('steps', values.steps),
    repeats: toCount('repeats', values.repeats),
    store: values.store ?? null,
    peers: values.peers,
    json: values.json,
  }));
}
