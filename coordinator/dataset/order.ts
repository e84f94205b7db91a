import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { Samples } from '../../runtime/storage/sample-columns.js';

/**
 * By code point, which is also the order of the UTF-8 bytes; JavaScript's own comparison is by UTF-16 unit.
 */
export function compareText(a: string, b: string): number {
  const bytesA = Buffer.from(a);
  return bytesA.compare(Buffer.from(b));
}

/** Sorts ids of packed samples by where they lie: shard after shard, in each from its start on. */
export function sortByPlace(ids: Uint32Array, samples: Samples): Uint32Array {
  const places = new Float64Array(samples.length);
  let id = 0;
  for (const { range } of samples) {
    places[id] = range!.shard * 2 ** 32 + range!.block;
    id += 1;
  }
  return ids.sort((a, b) => places[a]! - places[b]!);
}

/** The order of a run that mixes the images of `window` shards at a time; its ids are `sortByPlace`'s. */
export function orderShards({ train, shards }: Dataset, window: number): RunConfig['order'] {
  const counts = (shards?.shards ?? []).map(() => 0);
  for (const { range } of train) counts[range!.shard]! += 1;
  return { kind: 'windows', version: 2, shards: window, counts };
}
