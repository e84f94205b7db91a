import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutEpoch, stepsPerEpoch } from '../../plan/micro-batches.js';
import { openPartitions, type PartitionedConfig } from '../../plan/partitions.js';
import { divideStep, planStep, samplesAt } from '../../plan/phases.js';
import { placePartitions } from '../../plan/placement.js';
import type { RunConfig } from '../../plan/run-config.js';
import { runConfig } from '../support/run-config.js';

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

interface Made {
  readonly counts: readonly number[];
  readonly batchSize: number;
  readonly microBatch: number;
  readonly window: number;
  readonly seed: number;
}

const configOf = ({ counts, window, ...cut }: Made): RunConfig =>
  runConfig({
    ...{ ...cut, trainCount: counts.reduce((sum, count) => sum + count, 0) },
    order: { kind: 'windows', version: 2, shards: window, counts },
  });
const partitionedOf = (config: RunConfig) => config as RunConfig & PartitionedConfig;

const shardOf = (counts: readonly number[], id: number) => {
  let [shard, end] = [0, counts[0]!];
  while (id >= end) end += counts[++shard]!;
  return shard;
};

const idsOf = (config: RunConfig, epoch: number) => {
  const perEpoch = stepsPerEpoch(config);
  return range(perEpoch).map((step) => [...planStep(config, epoch * perEpoch + step).sampleIds]);
};

const made = fc.record({
  // Empty shards, shards of a single sample, and fewer shards than a step has micro-batches.
  counts: fc
    .array(fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 0, max: 40 })), {
      minLength: 1,
      maxLength: 20,
    })
    .filter((counts) => counts.some((count) => count > 0)),
  batchSize: fc.integer({ min: 1, max: 40 }),
  microBatch: fc.integer({ min: 1, max: 20 }),
  window: fc.integer({ min: 1, max: 24 }),
  seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

describe('an order by partitions', () => {
  it('visits every sample once an epoch, whatever the shards, the batch, the micro-batch and the window', () => {
    fc.assert(
      fc.property(made, (given) => {
        const config = configOf(given);
        for (const epoch of [0, 1]) {
          const steps = idsOf(config, epoch);
          expect(sorted(steps.flat())).toEqual(range(config.trainCount));
          // Another object and another epoch in between: nothing is remembered of a call but what it is of.
          expect(idsOf(configOf(given), epoch)).toEqual(steps);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    { counts: [1], batchSize: 64, microBatch: 16, window: 8, seed: 1 },
    { counts: [0, 0, 1, 0], batchSize: 2, microBatch: 2, window: 1, seed: 1 },
    { counts: [100], batchSize: 64, microBatch: 16, window: 1, seed: 1 },
    // The last step has a micro-batch more than the others: [4, 5] and [4, 4, 2].
    { counts: [9, 9, 1, 9], batchSize: 9, microBatch: 4, window: 2, seed: 1 },
    // And here fewer.
    { counts: [30, 33], batchSize: 20, microBatch: 4, window: 2, seed: 1 },
  ])('visits every sample once in the world of any size: %o', (given) => {
    const config = configOf(given);
    const whole = idsOf(config, 0);
    expect(sorted(whole.flat())).toEqual(range(config.trainCount));
    for (const world of [1, 2, 3, 4, 5, 8]) {
      const shares = range(whole.length).map((step) => {
        const plan = planStep(config, step);
        const partitions = placePartitions(config, new Array<string>(world).fill('here'));
        return divideStep(plan, world, partitions).flatMap((share) => [...samplesAt(plan, share)]);
      });
      expect(shares, `${world}`).toEqual(whole);
    }
  });

  it('takes the samples of micro-batch j from the same shards in every epoch, in another order each', () => {
    fc.assert(
      fc.property(made, (given) => {
        const config = configOf(given);
        const { steps, whole } = cutEpoch(config);
        const met = [0, 1].map((epoch) => {
          const partitions = whole.map(() => [] as number[]);
          for (const [step, ids] of idsOf(config, epoch).entries()) {
            const { microBatches } = planStep(config, epoch * steps + step);
            for (const [j, { start, end }] of microBatches.entries())
              partitions[j]?.push(...ids.slice(start, end));
          }
          return partitions;
        });
        expect(met[0]!.map(sorted)).toEqual(met[1]!.map(sorted));
        if (met[0]!.some((ids) => ids.length > 20)) expect(met[0]).not.toEqual(met[1]);
      }),
      { numRuns: 100 },
    );
  });

  it('has a border shard in two partitions, and any other in one', () => {
    const counts = range(32).map((shard) => 20 + (shard % 7));
    const config = configOf({ counts, batchSize: 64, microBatch: 16, window: 8, seed: 3 });
    const { partitions } = openPartitions(partitionedOf(config), 0);
    const times = new Map<number, number>();
    for (const { shards } of partitions) {
      for (const shard of shards.flat()) times.set(shard, (times.get(shard) ?? 0) + 1);
    }
    expect(sorted(times.keys())).toEqual(range(32));
    expect(sorted(times.values()).slice(-4)).toEqual([1, 2, 2, 2]);
  });

  it('divides the window among the partitions, and has one shard open in each at least', () => {
    const counts = new Array<number>(64).fill(10);
    for (const [window, each] of [
      [1, 1],
      [4, 1],
      [5, 2],
      [16, 4],
      [1_000, 16],
    ] as const) {
      const config = configOf({ counts, batchSize: 64, microBatch: 16, window, seed: 3 });
      for (const { shards } of openPartitions(partitionedOf(config), 1).partitions) {
        expect(shards[0]).toHaveLength(each);
      }
    }
  });

  it('keeps a rank at its partitions in the last step too, so that it meets no shards of others', () => {
    const counts = range(24).map((shard) => 10 + (shard % 5));
    for (const total of [0, 3, 9, 17]) {
      const config = configOf({
        counts: [...counts, total],
        batchSize: 32,
        microBatch: 4,
        window: 8,
        seed: 7,
      });
      for (const world of [1, 2, 3, 4, 8]) {
        const partitions = placePartitions(config, range(world).map(String));
        for (const step of range(stepsPerEpoch(config))) {
          const { microBatches } = planStep(config, step);
          const shares = divideStep({ microBatches }, world, partitions);
          for (const [rank, share] of shares.entries()) {
            expect(share).toEqual(partitions![rank]!.filter((own) => own < microBatches.length));
          }
          expect(sorted(shares.flat())).toEqual([...microBatches.keys()]);
        }
      }
    }
  });

  it('is always the same, for runs that are resumed by a later version', () => {
    const counts = [5, 9, 1, 7, 8, 6, 4, 3];
    const config = configOf({ counts, batchSize: 8, microBatch: 4, window: 3, seed: 5 });
    expect([0, 1].map((epoch) => idsOf(config, epoch).join(' | '))).toMatchInlineSnapshot(`
      [
        "41,42,23,28,33,32,30,34 | 25,24,22,29,35,4,31,5 | 27,26,40,3,10,6,39,9 | 1,15,17,16,11,37,13,8 | 2,20,18,19,36,12,38,7 | 0,21,14",
        "16,15,42,20,13,6,8,10 | 19,18,40,17,32,12,33,35 | 41,21,27,1,30,31,34,7 | 22,3,0,25,5,9,11,37 | 28,2,29,23,4,36,38,39 | 24,26,14",
      ]
    `);
  });

  it('mixes the samples of a window evenly', () => {
    const counts = new Array<number>(12).fill(10);
    const firsts = new Map<number, number>();
    for (const seed of range(600)) {
      const config = configOf({ counts, batchSize: 20, microBatch: 10, window: 12, seed });
      const { partitions } = openPartitions(partitionedOf(config), 0);
      for (const { sampleAt } of partitions) {
        const shard = shardOf(counts, sampleAt(0));
        firsts.set(shard, (firsts.get(shard) ?? 0) + 1);
      }
    }
    // 1,200 draws of 12 shards: 100 each, with a deviation of 9.6.
    for (const times of firsts.values()) expect(Math.abs(times - 100)).toBeLessThan(45);
    expect(firsts.size).toBe(12);
  });
});
