import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { openEpochOrder, openEpochWindows, permuteIndices } from '../../plan/epoch-order.js';
import { planStep, totalSteps } from '../../plan/phases.js';
import { epochPermutation } from '../../plan/sampler.js';
import { tinyConfig } from '../support/tiny-run.js';

const list = (count: number, order: (position: number) => number) =>
  Array.from({ length: count }, (_, i) => order(i));

describe('a permutation that holds no list', () => {
  it.each([1, 2, 3, 5, 16, 17, 100, 1_000, 4_097])('visits each of %i samples once', (count) => {
    for (const epoch of [0, 1, 7]) {
      const visited = list(count, permuteIndices(count, 42, epoch, 0));
      expect(visited.toSorted((a, b) => a - b)).toEqual(list(count, (i) => i));
    }
  });

  it('is another one for another seed, epoch or label, and always the same for the same', () => {
    const of = (seed: number, epoch: number, label: number) =>
      list(1_000, permuteIndices(1_000, seed, epoch, label)).join();
    expect(new Set([of(1, 0, 0), of(2, 0, 0), of(1, 1, 0), of(1, 0, 1)]).size).toBe(4);
    // Runs that are resumed by a later version depend on it.
    expect(list(8, permuteIndices(1_000_000_000, 42, 3, 0))).toMatchInlineSnapshot(`
      [
        380869297,
        860124555,
        446438973,
        681091416,
        308280803,
        153387769,
        746582144,
        271858069,
      ]
    `);
  });

  it('puts every sample anywhere equally often, and neighbours no nearer than others', () => {
    for (const count of [3, 10, 64]) {
      const seeds = 200 * count;
      const places = new Float64Array(count * count);
      let neighbours = 0;
      for (let seed = 0; seed < seeds; seed += 1) {
        const visited = list(count, permuteIndices(count, seed, 0, 0));
        visited.forEach((id, position) => {
          places[id * count + position]! += 1;
          if (position > 0 && Math.abs(id - visited[position - 1]!) === 1) neighbours += 1;
        });
      }
      const expected = seeds / count;
      const chiSquare = places.reduce((sum, times) => sum + (times - expected) ** 2 / expected, 0);
      const freedom = (count - 1) ** 2;
      // Four standard deviations of the chi-square distribution.
      expect(Math.abs(chiSquare - freedom), `${count}`).toBeLessThan(4 * Math.sqrt(2 * freedom));
      // Each of count−1 places has neighbours of the source with probability 2/count.
      const usual = (seeds * (count - 1) * 2) / count;
      expect(Math.abs(neighbours - usual) / usual, `${count}`).toBeLessThan(0.05);
    }
  });
});

describe('an epoch', () => {
  const windows = { kind: 'windows', version: 1, shards: 3, counts: [5, 9, 1, 7, 8, 6, 4, 3] } as const;
  const total = 43;
  const shardOf = (id: number) => {
    let [shard, end] = [0, windows.counts[0]!];
    while (id >= end) end += windows.counts[++shard]!;
    return shard;
  };

  it('of a run without an order is what it was before there was one', () => {
    const order = openEpochOrder({ seed: 5, trainCount: 100, order: undefined }, 2);
    expect(list(100, order)).toEqual([...epochPermutation(5, 2, 100)]);
  });

  it('with windows goes through so many shards at a time, in another order each epoch', () => {
    const epochs = [0, 1].map((epoch) =>
      list(total, openEpochOrder({ seed: 5, trainCount: total, order: windows }, epoch)),
    );
    expect(epochs[0]).not.toEqual(epochs[1]);
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

  it('says which shards each of its windows has, and which window a position is in', () => {
    for (const epoch of [0, 1]) {
      const config = { seed: 5, trainCount: total, order: windows };
      const [order, { shards, windowAt }] = [openEpochOrder(config, epoch), openEpochWindows(config, epoch)!];
      expect(shards.flat().toSorted((a, b) => a - b)).toEqual(list(8, (i) => i));
      for (let position = 0; position < total; position += 1) {
        expect(shards[windowAt(position)]).toContain(shardOf(order(position)));
      }
    }
    expect(openEpochWindows({ seed: 5, trainCount: total }, 0)).toBeNull();
    const counts = windows.counts.map((count, shard) => (shard === 4 ? 0 : count));
    const some = { ...windows, counts };
    const met = openEpochWindows({ seed: 5, trainCount: total - 8, order: some }, 0)!.shards.flat();
    expect(met.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 5, 6, 7]);
  });

  it.each([undefined, { kind: 'full', version: 1 } as const, windows])(
    'takes each sample once by its steps: %o',
    (order) => {
      const config = tinyConfig({ trainCount: total, order });
      const perEpoch = totalSteps(config) / config.phases.reduce((sum, { epochs }) => sum + epochs, 0);
      const ids = Array.from({ length: perEpoch }, (_, step) => [...planStep(config, step).sampleIds]).flat();
      expect(ids.toSorted((a, b) => a - b)).toEqual(list(total, (i) => i));
    },
  );

  it('of a billion samples is planned step by step, without a list', () => {
    const config = tinyConfig({
      trainCount: 1_000_000_000,
      batchSize: 256,
      order: { kind: 'full', version: 1 },
    });
    const before = process.memoryUsage().arrayBuffers;
    const started = performance.now();
    for (let step = 0; step < 100; step += 1) planStep(config, 100_003 * step);
    // Generous by far: it takes a tenth of a millisecond each.
    expect(performance.now() - started).toBeLessThan(30_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6);
  });
});
