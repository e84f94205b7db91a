import { describe, expect, it } from 'vitest';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import type { ReductionLayout, Summary } from '../../../worker/model/program.js';
import { reduceParts } from '../../../worker/training/reduce-parts.js';
import { fakeShape } from '../../support/fake-compute.js';
import { createFakeRings } from '../../support/fake-ring.js';

const layout: ReductionLayout = {
  ...fakeShape.reductions.all!,
  length: 9,
  gradientLength: 5,
  parts: [
    { start: 0, end: 2 },
    { start: 2, end: 4 },
    { start: 4, end: 9 },
  ],
};
const summary: Summary = {
  largest: Float32Array.of(7),
  microBatches: [5],
  rows: Float32Array.of(1, 2, 3, 4),
};

/** Parts that become known, and sums that end, when the test says so. */
function setUp() {
  const parts = layout.parts.map(() => createDeferred<Summary | null>());
  const sums: { values: number[]; signal: AbortSignal; end: (error?: Error) => void }[] = [];
  const told: Uint8Array[] = [];
  const ring = {
    allReduce(values: Float32Array, { signal }: { signal: AbortSignal }) {
      const sum = createDeferred<void>();
      const end = (error?: Error) => (error ? sum.reject(error) : sum.resolve());
      signal.addEventListener('abort', () => sum.reject(signal.reason));
      if (signal.aborted) sum.reject(signal.reason);
      sums.push({ values: [...values], signal, end });
      return sum.promise;
    },
    async allGather(bytes: Uint8Array) {
      told.push(bytes);
      return [bytes, bytes];
    },
  };
  const vector = Float32Array.from({ length: layout.length }, (_, index) => index);
  const aborting = new AbortController();
  const reducing = reduceParts(
    parts.map(({ promise }) => promise),
    { ring, layout, vector, signal: aborting.signal },
    () => ({ stop: true, keep: false, snapshot: false }),
  );
  reducing.catch(() => {});
  return { parts, sums, told, aborting, reducing };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('reduceParts', () => {
  it('sends the gradients of each part as soon as it is known, one after the other, then the summary', async () => {
    const { parts, sums, told, reducing } = setUp();
    parts[0]!.resolve(null);
    await settle();
    expect(sums.map(({ values }) => values)).toEqual([[0, 1]]);
    parts[1]!.resolve(null);
    parts[2]!.resolve(summary);
    await settle();
    expect(sums).toHaveLength(1);
    sums[0]!.end();
    await settle();
    expect(sums).toHaveLength(2);
    sums[1]!.end();
    await settle();
    expect(sums.map(({ values }) => values)).toEqual([[0, 1], [2, 3], [4]]);
    expect(told).toEqual([]);
    sums[2]!.end();
    const { summaries, stop, ringSeconds } = await reducing;
    expect(summaries).toEqual([summary, summary]);
    expect([stop, ringSeconds >= 0, told.length]).toEqual([true, true, 1]);
  });

  it.each([
    [[false, false, false], false],
    [[false, true, false], true],
    [[true, true, true], true],
  ])('tells all ranks what one asks for: %j', async (asked, expected) => {
    const rings = createFakeRings(3);
    const results = await Promise.all(
      rings.map((ring, rank) => {
        const own = {
          largest: Float32Array.of(rank),
          microBatches: Array.from({ length: rank }, (_, index) => rank + 7 * index),
          rows: new Float32Array(4 * rank).fill(rank),
        };
        const parts = [null, null, own].map((part) => Promise.resolve(part));
        const context = { ring, layout, vector: new Float32Array(9), signal: new AbortController().signal };
        return reduceParts(parts, context, () => {
          return { stop: asked[rank]!, keep: asked[rank]! && rank === 1, snapshot: !asked[rank] };
        });
      }),
    );
    for (const { stop, keep, snapshot, summaries } of results) {
      expect(stop).toBe(expected);
      expect(keep).toBe(asked[1]);
      expect(snapshot).toBe(asked.includes(false));
      expect(summaries.map(({ largest }) => [...largest])).toEqual([[0], [1], [2]]);
      expect(summaries.map(({ microBatches }) => microBatches)).toEqual([[], [1], [2, 9]]);
      expect(summaries.map(({ rows }) => [...rows])).toEqual([[], [1, 1, 1, 1], [2, 2, 2, 2, 2, 2, 2, 2]]);
    }
  });

  it('ends the ring with the error of a part that cannot be computed', async () => {
    const { parts, sums, reducing } = setUp();
    const error = new RondoError('internal', 'no memory for part 1');
    parts[0]!.resolve(null);
    await settle();
    parts[1]!.reject(error);
    parts[2]!.reject(new RondoError('internal', 'nothing to go on from'));
    await expect(reducing).rejects.toBe(error);
    expect(sums).toHaveLength(1);
    expect(sums[0]!.signal.aborted).toBe(true);
  });

  it('throws what the ring throws, while later parts are still computed', async () => {
    const { parts, sums, reducing } = setUp();
    const error = new RondoError('unavailable', 'rank 2 is gone');
    parts[0]!.resolve(null);
    await settle();
    sums[0]!.end(error);
    await expect(reducing).rejects.toBe(error);
    parts[1]!.resolve(null);
    await settle();
    expect(sums).toHaveLength(1);
  });

  it.each(['in a sum', 'between two sums'])('ends when it is aborted %s', async (when) => {
    const { parts, sums, aborting, reducing } = setUp();
    parts[0]!.resolve(null);
    await settle();
    if (when === 'between two sums') {
      sums[0]!.end();
      await settle();
    }
    const reason = new RondoError('aborted', 'another generation');
    aborting.abort(reason);
    parts[1]!.resolve(null);
    parts[2]!.resolve(summary);
    await expect(reducing).rejects.toBe(reason);
    expect(sums).toHaveLength(1);
  });
});
