import type { FloatType } from '../../plan/run-config.js';
import { commonOptions, readArguments, toCount, toCounts, toOneOf } from '../support/arguments.js';

const usage =
  'Usage: npm run bench -- scaling [--workers 4] [--size 96] [--batch 64] [--images 1280] [--arch resnet34|resnet18|resnet50] [--wire float32|bfloat16] [--repeats 2] [--peers] [--json]';

export interface ScalingArguments {
  /** World sizes, each measured by itself. */
  readonly workers: readonly number[];
  readonly size: number;
  /** Images of a step over all workers. */
  readonly batch: number;
  /** A tenth of them validate. */
  readonly images: number;
  readonly arch: 'resnet18' | 'resnet34' | 'resnet50';
  readonly wire: FloatType;
  readonly repeats: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws what `readArguments` does */
export function parseScalingArguments(args: readonly string[]): ScalingArguments {
  const options = {
    ...commonOptions,
    workers: { type: 'string', default: '4' },
    size: { type: 'string', default: '96' },
    batch: { type: 'string', default: '64' },
    images: { type: 'string', default: '1280' },
    arch: { type: 'string', default: 'resnet34' },
    wire: { type: 'string', default: 'float32' },
    repeats: { type: 'string', default: '2' },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { peers, json } = values;
    const [batch, images] = [toCount('batch', values.batch), toCount('images', values.images)];
    if (images < 6 * batch) throw new Error('--images must be six times --batch or more.');
    return {
      workers: toCounts('workers', values.workers),
      size: toCount('size', values.size),
      ...{ batch, images },
      arch: toOneOf('arch', values.arch, ['resnet34', 'resnet18', 'resnet50']),
      wire: toOneOf('wire', values.wire, ['float32', 'bfloat16']),
      repeats: toCount('repeats', values.repeats),
      peers,
      json,
    };
  });
}
