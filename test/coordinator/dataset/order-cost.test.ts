import { describe, expect, it } from 'vitest';
import { measureOrder } from '../../../coordinator/dataset/order-cost.js';
import type { Dataset } from '../../../proto/dataset.js';
import type { Sample } from '../../../runtime/storage/sample-columns.js';

/** 40 shards of 50 images, 1,000 bytes each in two blocks, listed as they lie there. */
function makeDataset(valid: number): Dataset {
  const shards = Array.from({ length: 40 }, (_, shard) => ({ name: `${shard}.tar`, digest: '' }));
  const samples = Array.from({ length: 2_000 }, (_, index): Sample => {
    const range = { shard: Math.floor(index / 50), block: 4 * (index % 50) + 1, bytes: 1_000 };
    return { path: `${index}.jpg`, label: 0, width: 8, height: 8, digest: '', range };
  });
  return {
    ...{ root: '/packed', classes: ['a', 'b'], digest: '', shards: { shards } },
    ...{ train: samples.slice(valid), valid: samples.slice(0, valid) },
  };
}

const cost = (window: number, valid = 100, machines = 1, microBatch = 50) =>
  measureOrder(makeDataset(valid), { window, seed: 1, batchSize: 50, microBatch, machines });

const shardBytes = (4 * 49 + 1) * 512 + 1_000;

describe('measureOrder', () => {
  it('counts an image each where all are mixed', () => {
    const { neighbours, shardsPerBatch, shardsPerMicroBatch, ...rest } = cost(0);
    expect(rest).toEqual({
      ...{ window: 0, requests: 2_000, bytes: 2_000_000, machineBytes: 2_000_000 },
      ...{ cacheBytes: 0, dollars: 0.0008 },
    });
    expect(shardsPerMicroBatch).toBe(shardsPerBatch);
    expect(neighbours).toBeGreaterThan(0.5);
    expect(neighbours).toBeLessThan(1.5);
    // 38 × (1 − (37/38)^50), give or take three deviations of the mean of 38 batches.
    expect(Math.abs(shardsPerBatch - 28)).toBeLessThan(1);
  });

  it('counts a shard each where shards are mixed, and says how much less they mix', () => {
    const one = cost(1);
    expect(one).toMatchObject({
      requests: 38 + 100,
      bytes: 38 * shardBytes + 100_000,
      cacheBytes: 2 * shardBytes,
      shardsPerBatch: 1,
    });
    // All neighbours but those of two shards are together.
    expect(one.neighbours).toBeCloseTo(((38 * 49) / 1_899) * (1_899 / 49), 0);
    const four = cost(4);
    expect(four.shardsPerBatch).toBeGreaterThan(3.5);
    expect(four.shardsPerBatch).toBeLessThanOrEqual(4);
    expect(four.neighbours).toBeGreaterThan(cost(0).neighbours);
    expect(four.neighbours).toBeLessThan(one.neighbours);
  });

  it('counts for each machine what its micro-batches need: with windows its own shards alone', () => {
    // Micro-batches of 25 have 19 shards each, so that there is no border within a shard.
    const [alone, two] = [cost(4, 100, 1, 25), cost(4, 100, 2, 25)];
    expect(two).toMatchObject({
      requests: alone.requests,
      bytes: alone.bytes,
      machineBytes: 19 * shardBytes + 50_000,
      cacheBytes: 2 * 2 * shardBytes,
    });
    expect(alone).toMatchObject({ machineBytes: 38 * shardBytes + 100_000, cacheBytes: 2 * 4 * shardBytes });
    expect(alone.shardsPerBatch).toBeGreaterThan(3.5);
    expect([alone.shardsPerMicroBatch > 1.5, alone.shardsPerMicroBatch <= 2]).toEqual([true, true]);
    // Each image once, on either machine.
    expect(cost(0, 100, 2, 25)).toMatchObject({ requests: 2_000, bytes: 2_000_000, machineBytes: 1_000_000 });
    // With three partitions two borders are in shards, which two machines fetch.
    expect(cost(3, 100, 3, 17).bytes).toBe(40 * shardBytes + 100_000);
  });
});
