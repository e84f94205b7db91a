import type { FloatType } from '../../plan/run-config.js';
import { commonOptions, readArguments, toCount, toSome } from '../support/arguments.js';
import { isApart, type Way, ways } from './rondo.js';

const usage =
  'Usage: npm run bench -- all-reduce [--ranks 4] [--megabytes 87,2.2] [--wires float32,bfloat16] [--ways vectors,vectors-tls,slots,sockets,sockets-tls,grpc,grpc-tls] [--lanes 1] [--hosts N] [--rate MB/S] [--rounds 20] [--repeats 3] [--peers] [--json]';

export interface AllReduceArguments {
  readonly ranks: number;
  /** Sizes of the float32 vector, in 10^6 bytes. */
  readonly megabytes: readonly number[];
  readonly wires: readonly FloatType[];
  readonly ways: readonly Way[];
  readonly lanes: number;
  /** On how many machines ranks are as if they were, which share no memory; null for one, or one each with a rate. */
  readonly hosts: number | null;
  /** MB/s (10^6 bytes) that a machine, in a network namespace of its own, can send; null for loopback. */
  readonly rate: number | null;
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
    ways: { type: 'string' },
    lanes: { type: 'string', default: '1' },
    hosts: { type: 'string' },
    rate: { type: 'string' },
    rounds: { type: 'string', default: '20' },
    repeats: { type: 'string', default: '3' },
  } as const;
  return readArguments(usage, args, options, (values) => {
    const { peers, json } = values;
    const ranks = toCount('ranks', values.ranks);
    if (ranks < 2) throw new Error('--ranks must be at least 2.');
    const megabytes = values.megabytes.split(',').map(Number);
    if (!megabytes.every((value) => value > 0)) throw new Error('--megabytes must be positive numbers.');
    const rate = values.rate === undefined ? null : toCount('rate', values.rate);
    const hosts = values.hosts === undefined ? null : toCount('hosts', values.hosts);
    if (hosts !== null && (hosts < 2 || hosts > ranks)) throw new Error('--hosts is from 2 to --ranks.');
    const isPossible = (way: Way) => {
      if (hosts !== null) return !isApart(way);
      // Nothing is encrypted that does not leave the machine.
      return isApart(way) || (rate === null && way !== 'vectors-tls');
    };
    const possible = ways.filter(isPossible);
    return {
      ...{ ranks, hosts },
      megabytes,
      wires: toSome('wires', values.wires, ['float32', 'bfloat16']),
      ways: values.ways === undefined ? possible : toSome('ways', values.ways, possible),
      rate,
      lanes: toCount('lanes', values.lanes),
      rounds: toCount('rounds', values.rounds),
      repeats: toCount('repeats', values.repeats),
      peers,
      json,
    };
  });
}
