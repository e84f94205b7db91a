import type { Arch, FloatType } from '../../plan/run-config.js';
import { commonOptions, readArguments, toCount, toOneOf, toSome } from '../support/arguments.js';

const usage =
  'Usage: npm run bench -- overlap [--ranks 4] [--threads 1] [--arch resnet34|resnet18|resnet50] [--size 224] [--batch 16] [--rate 200] [--wires float32,bfloat16] [--tls] [--steps 2] [--repeats 3] [--peers] [--json]';

export interface OverlapArguments {
  readonly ranks: number;
  /** Of each rank's TensorFlow. */
  readonly threads: number;
  readonly arch: Arch;
  readonly size: number;
  /** Of each rank. */
  readonly batch: number;
  /** MB/s (10^6 bytes) that a rank can send. */
  readonly rate: number;
  readonly wires: readonly FloatType[];
  /** Whether the ring is encrypted. */
  readonly tls: boolean;
  /** Of each measurement. */
  readonly steps: number;
  readonly repeats: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws what `readArguments` does */
export function parseOverlapArguments(args: readonly string[]): OverlapArguments {
  const options = {
    ...commonOptions,
    ranks: { type: 'string', default: '4' },
    threads: { type: 'string', default: '1' },
    arch: { type: 'string', default: 'resnet34' },
    size: { type: 'string', default: '224' },
    batch: { type: 'string', default: '16' },
    rate: { type: 'string', default: '200' },
    wires: { type: 'string', default: 'float32,bfloat16' },
    steps: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '3' },
    tls: { type: 'boolean', default: false },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const count = (name: 'ranks' | 'threads' | 'size' | 'batch' | 'rate' | 'steps' | 'repeats'): number =>
      toCount(name, values[name]);
    const ranks = count('ranks');
    if (ranks < 2 || ranks > 250) throw new Error('--ranks must be 2 to 250.');
    return {
      ranks,
      threads: count('threads'),
      arch: toOneOf('arch', values.arch, ['resnet34', 'resnet18', 'resnet50']),
      size: count('size'),
      batch: count('batch'),
      rate: count('rate'),
      wires: toSome('wires', values.wires, ['float32', 'bfloat16']),
      tls: values.tls,
      steps: count('steps'),
      repeats: count('repeats'),
      peers: values.peers,
      json: values.json,
    };
  });
}
