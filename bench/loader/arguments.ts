import os from 'node:os';
import { commonOptions, readArguments, toCount } from '../support/arguments.js';
import { toWorkers, type Workers } from '../support/workers.js';

const usage =
  'Usage: npm run bench -- loader [--images 1024] [--presize 256] [--micro-batch 16] [--workers 2x1] [--rounds 5] [--peers] [--json]';

export interface LoaderArguments {
  readonly images: number;
  readonly presize: number;
  readonly microBatch: number;
  readonly workers: Workers;
  readonly rounds: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws what `readArguments` does */
export function parseLoaderArguments(args: readonly string[]): LoaderArguments {
  const options = {
    ...commonOptions,
    images: { type: 'string', default: '1024' },
    presize: { type: 'string', default: '256' },
    'micro-batch': { type: 'string', default: '16' },
    workers: { type: 'string', default: `${os.availableParallelism()}x1` },
    rounds: { type: 'string', default: '5' },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { peers, json } = values;
    const [workers, ...more] = toWorkers('workers', values.workers);
    if (more.length > 0) throw new Error('--workers takes one PROCESSESxTHREADS here.');
    return {
      images: toCount('images', values.images),
      presize: toCount('presize', values.presize),
      microBatch: toCount('micro-batch', values['micro-batch']),
      workers: workers!,
      rounds: toCount('rounds', values.rounds),
      peers,
      json,
    };
  });
}
