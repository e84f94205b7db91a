import os from 'node:os';
import { parseArgs } from 'node:util';
import { commonOptions, readArguments, toCount } from '../support/arguments.js';

const usage =
  'Usage: npm run bench -- loader [--images 512] [--presize 256] [--micro-batch 16] [--threads N] [--rounds 5] [--peers] [--json]';

export interface LoaderArguments {
  readonly images: number;
  readonly presize: number;
  readonly microBatch: number;
  /** Of Rondo's worker, and processes of the peer. */
  readonly threads: number;
  readonly rounds: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws RondoError `invalid-argument`, with the usage as its remedy. */
export function parseLoaderArguments(args: readonly string[]): LoaderArguments {
  return readArguments(usage, () => {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...commonOptions,
        images: { type: 'string', default: '512' },
        presize: { type: 'string', default: '256' },
        'micro-batch': { type: 'string', default: '16' },
        threads: { type: 'string', default: String(os.availableParallelism()) },
        rounds: { type: 'string', default: '5' },
      },
    });
    const { peers, json } = values;
    return {
      images: toCount('images', values.images),
      presize: toCount('presize', values.presize),
      microBatch: toCount('micro-batch', values['micro-batch']),
      threads: toCount('threads', values.threads),
      rounds: toCount('rounds', values.rounds),
      peers,
      json,
    };
  });
}
