import { describe, expect, it } from 'vitest';
import { openEpochOrder, openEpochWindows } from '../../plan/epoch-order.js';
import { cutEpoch } from '../../plan/micro-batches.js';
import { planStep, totalSteps } from '../../plan/phases.js';
import { epochPermutation } from '../../plan/sampler.js';
import { tinyConfig } from '../support/tiny-run.js';

const list = (count: number, order: (position: number) => number) =>
  Array.from({ length: count }, (_, i) => order(i));

describe('an epoch', () => {
  const windows = { kind: 'windows', version: 1, shards: 3, counts: [5, 9, 1, 7, 8, 6, 4, 3] } as const;
  const total = 43;
  const cut = { batchSize: 8, microBatch: 4 };
  const partitions = { ...windows, version: 2 } as const;
  const shardOf = (id: number) => {
    let [shard, end] = [0, windows.counts[0]!];
    while (id >= end) end += windows.counts[++shard]!;
    return shard;
  };

  it('of a run without an order is what it was before there was one', () => {
    const order = openEpochOrder({ seed: 5, trainCount: 100, ...cut, order: undefined }, 2);
    expect(list(100, order)).toEqual([...epochPermutation(5, 2, 100)]);
  });

  it('with windows in one row goes through so many shards at a time, in another order each epoch', () => {
    const epochs = [0, 1].map((epoch) =>
      list(total, openEpochOrder({ seed: 5, trainCount: total, ...cut, order: windows }, epoch)),
    );
    // Runs that began with this order are resumed with it.
    expect(epochs.map((visited) => visited.join(' '))).toEqual([
      '26 6 5 9 42 8 11 7 41 13 24 25 23 27 12 29 28 40 22 10 1 37 38 4 0 3 32 34 35 33 2 36 39 31 30 16 19 15 21 14 20 18 17',
      '32 39 33 36 30 2 3 35 1 31 38 4 37 34 0 40 10 19 7 12 18 5 16 6 13 20 9 21 17 8 11 42 41 15 27 22 28 25 29 14 26 24 23',
    ]);
    for (const visited of epochs) {
      expect(visited.toSorted((a, b) => a - b)).toEqual(list(total, (i) => i));
      const shards = visited.map(shardOf);
      // No shard comes again after three others have begun since.
      const groups: Set<number>[] = [];
      for (const shard of shards) {
        const current = groups.at(-1);
        if (current === undefined || (!current.has(shard) && current.size === 3))
          groups.push(new Set([shard]));
        else current.add(shard);
      }
      const met = groups.flatMap((group) => [...group]);
      expect(new Set(met).size).toBe(met.length);
      expect(shards.slice(0, 8).some((shard, at) => at > 0 && shard < shards[at - 1]!)).toBe(true);
    }
  });

  it.each([windows, partitions])(
    'says which shards each of its windows has, and where each step is in them: %o',
    (order) => {
      const config = { seed: 5, trainCount: total, ...cut, order };
      for (const epoch of [0, 1]) {
        const [sampleAt, places] = [openEpochOrder(config, epoch), openEpochWindows(config, epoch)!];
        const all = places.placesOf(0).flatMap(({ windows }) => windows.shards.flat());
        expect([...new Set(all)].toSorted((a, b) => a - b)).toEqual(list(8, (i) => i));
        const { steps } = cutEpoch(config);
        for (let step = 0; step < steps; step += 1) {
          const here: number[] = [];
          for (const { windows, start, end } of places.placesOf(step)) {
            for (let position = start; position < end; position += 1) {
              const id = windows.sampleAt(position);
              here.push(id);
              expect(windows.shards[windows.windowAt(position)]).toContain(shardOf(id));
            }
          }
          const end = step === steps - 1 ? total : 8 * (step + 1);
          expect(here).toEqual(list(end - 8 * step, (at) => sampleAt(8 * step + at)));
        }
      }
      const counts = windows.counts.map((count, shard) => (shard === 4 ? 0 : count));
      const some = { ...config, trainCount: total - 8, order: { ...order, counts } };
      const met = openEpochWindows(some, 0)!
        .placesOf(0)
        .flatMap(({ windows }) => windows.shards.flat());
      expect([...new Set(met)].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 5, 6, 7]);
    },
  );

  it('has no windows where all samples are mixed', () => {
    expect(openEpochWindows({ seed: 5, trainCount: total, ...cut }, 0)).toBeNull();
  });

  it.each([undefined, { kind: 'full', version: 1 } as const, windows, partitions])(
    'takes each sample once by its steps: %o',
    (order) => {
      const config = tinyConfig({ trainCount: total, order });
      const perEpoch = totalSteps(config) / config.phases.reduce((sum, { epochs }) => sum + epochs, 0);
      const ids = Array.from({ length: perEpoch }, (_, step) => [...planStep(config, step).sampleIds]).flat();
      expect(ids.toSorted((a, b) => a - b)).toEqual(list(total, (i) => i));
    },
  );

  it.each([
    [0.5, { kind: 'full', version: 1 }],
    [6, { kind: 'windows', version: 2, shards: 32, counts: list(50_000, () => 20_000) }],
  ] as const)(
    'of a billion samples is planned step by step, without a list, in %f s at most',
    (most, order) => {
      const cut = { trainCount: 1_000_000_000, batchSize: 256, microBatch: 64 };
      const config = tinyConfig({ ...cut, order });
      const before = process.memoryUsage().arrayBuffers;
      const started = process.cpuUsage();
      // Three epochs are opened, each in some tenths of a second where there are windows.
      for (let step = 0; step < 100; step += 1) planStep(config, 100_003 * step);
      const { user, system } = process.cpuUsage(started);
      // Of processor time, and generous: it takes a tenth of that or less.
      expect((user + system) / 1e6).toBeLessThan(most);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6);
    },
  );
});
