import { createHash } from 'node:crypto';
import { countPartitions, type OrderedConfig } from './epoch-order.js';
import { cutEpoch, type Division, shareOf } from './micro-batches.js';
import { openStream } from './random.js';

/**
 * By rank, the partitions of the shards (plan/partitions.ts) whose micro-batches it computes in every step, ascending;
 * null where the order has none: there any machine may need any sample, so ranks divide each step by itself.
 *
 * Machines get theirs by rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit
 * rates", 1998): each partition goes to the machine with the highest weight for it, of those that have room left for
 * another. There is room for as many as the machine's ranks have together when all have as many, give or take one. So
 * little more than its own part moves when a machine comes or leaves, and caches keep what they are asked for. The
 * ranks of a machine, which share a cache, take neighbours; so do all ranks of a run on one machine.
 *
 * @param hosts the machine of each rank
 */
export function placePartitions(config: OrderedConfig, hosts: readonly string[]): Division | null {
  const count = countPartitions(config);
  if (count === null) return null;
  const sizes = hosts.map((_, rank) => {
    const { start, end } = shareOf(count, rank, hosts.length);
    return end - start;
  });
  const machines = new Map<string, Machine>();
  for (const [rank, host] of hosts.entries()) {
    const machine = machines.get(host) ?? { weights: weigh(host, count), room: 0, taken: [] };
    machine.room += sizes[rank]!;
    machines.set(host, machine);
  }
  const all = [...machines.values()];
  for (let partition = 0; partition < count; partition += 1) {
    let best: Machine | null = null;
    for (const machine of all) {
      if (machine.taken.length === machine.room) continue;
      // Of equal weights that of the lowest rank.
      if (best === null || machine.weights[partition]! > best.weights[partition]!) best = machine;
    }
    best!.taken.push(partition);
  }
  const division = hosts.map((host, rank) => machines.get(host)!.taken.splice(0, sizes[rank]));
  // An epoch's last step may have one micro-batch more than the others, of a few samples.
  if (cutEpoch(config).last.length > count) division.at(-1)!.push(count);
  return division;
}

interface Machine {
  /** By partition. */
  readonly weights: Uint32Array;
  /** For so many partitions. */
  room: number;
  readonly taken: number[];
}

/** Of each partition on a machine: they follow from its name alone. */
function weigh(host: string, count: number): Uint32Array {
  const key = createHash('sha256').update(host).digest().readUIntBE(0, 6);
  const stream = openStream(key, 'placement');
  return new Uint32Array(count).map(() => stream.uint32());
}
