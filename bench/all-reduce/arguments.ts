import type { FloatType } from '../../plan/run-config.js';
import { commonOptions, readArguments, toCount, toSome } from '../support/arguments.js';

const usage =
  'Usage: npm run bench -- all-reduce [--ranks 4] [--megabytes 87,2.2] [--wires float32,bfloat16] [--lanes 1] [--rounds 20] [--repeats 3] [--peers] [--json]';

export interface AllReduceArguments {
  readonly ranks: number;
  /** Sizes of the float32 vector, in 10^6 bytes. */
  readonly megabytes: readonly number[];
  readonly wires: readonly FloatType[];
  readonly lanes: number;
  /** Of each turn. */
  readonly rounds: number;
  readonly repeats: number;
  readonly peers: boolean;
  readonly json: boolean;
}

/** @throws what `readArguments` does */
export function parseAllReduceArguments(args: readonly string[]): AllReduceArguments {
  const options = {
    ...commonOptions,
    ranks: { type: 'string', default: '4' },
    megabytes: { type: 'string', default: '87,2.2' },
    wires: { type: 'string', default: 'float32,bfloat16' },
    lanes: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '20' },
    repeats: { type: 'string', default: '3' },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { peers, json } = values;
    const ranks = toCount('ranks', values.ranks);
    if (ranks < 2) throw new Error('--ranks must be at least 2.');
    const megabytes = values.megabytes.split(',').map(Number);
    if (!megabytes.every((value) => value > 0)) throw new Error('--megabytes must be positive numbers.');
    return {
      ranks,
      megabytes,
      wires: toSome('wires', values.wires, ['float32', 'bfloat16']),
      lanes: toCount('lanes', values.lanes),
      rounds: toCount('rounds', values.rounds),
      repeats: toCount('repeats', values.repeats),
      peers,
      json,
    };
  });
}
