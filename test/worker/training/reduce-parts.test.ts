import { describe, expect, it } from 'vitest';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import type { ReductionLayout } from '../../../worker/model/program.js';
import { reduceParts } from '../../../worker/training/reduce-parts.js';
import { fakeShape } from '../../support/fake-compute.js';

const layout: ReductionLayout = {
  ...fakeShape.reductions.all!,
  length: 9,
  exactFrom: 5,
  parts: [
    { start: 0, end: 2 },
    { start: 2, end: 4 },
    { start: 4, end: 9 },
  ],
};

/** Parts that become known, and sums that end, when the test says so. */
function setUp() {
  const parts = layout.parts.map(() => createDeferred<void>());
  const sums: { values: number[]; exactFrom: number; signal: AbortSignal; end: (error?: Error) => void }[] =
    [];
  const ring = {
    allReduce(values: Float32Array, { exactFrom, signal }: { exactFrom: number; signal: AbortSignal }) {
      const sum = createDeferred<void>();
      const end = (error?: Error) => (error ? sum.reject(error) : sum.resolve());
      signal.addEventListener('abort', () => sum.reject(signal.reason));
      if (signal.aborted) sum.reject(signal.reason);
      sums.push({ values: [...values], exactFrom, signal, end });
      return sum.promise;
    },
  };
  const vector = Float32Array.from({ length: layout.length }, (_, index) => index);
  const aborting = new AbortController();
  const reducing = reduceParts(
    parts.map(({ promise }) => promise),
    { ring, layout, vector, signal: aborting.signal },
    () => {
      vector[8] = 100;
    },
  );
  reducing.catch(() => {});
  return { parts, sums, aborting, reducing };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('reduceParts', () => {
  it('sends each part as soon as it is known, one after the other, and changes the last one before', async () => {
    const { parts, sums, reducing } = setUp();
    parts[0]!.resolve();
    await settle();
    expect(sums.map(({ values }) => values)).toEqual([[0, 1]]);
    parts[1]!.resolve();
    parts[2]!.resolve();
    await settle();
    expect(sums).toHaveLength(1);
    sums[0]!.end();
    await settle();
    expect(sums).toHaveLength(2);
    sums[1]!.end();
    await settle();
    expect(sums.map(({ values }) => values)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5, 6, 7, 100],
    ]);
    expect(sums.map(({ exactFrom }) => exactFrom)).toEqual([2, 2, 1]);
    sums[2]!.end();
    expect(await reducing).toBeGreaterThanOrEqual(0);
  });

  it('ends the ring with the error of a part that cannot be computed', async () => {
    const { parts, sums, reducing } = setUp();
    const error = new RondoError('internal', 'no memory for part 1');
    parts[0]!.resolve();
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
    parts[0]!.resolve();
    await settle();
    sums[0]!.end(error);
    await expect(reducing).rejects.toBe(error);
    parts[1]!.resolve();
    await settle();
    expect(sums).toHaveLength(1);
  });

  it.each(['in a sum', 'between two sums'])('ends when it is aborted %s', async (when) => {
    const { parts, sums, aborting, reducing } = setUp();
    parts[0]!.resolve();
    await settle();
    if (when === 'between two sums') {
      sums[0]!.end();
      await settle();
    }
    const reason = new RondoError('aborted', 'another generation');
    aborting.abort(reason);
    parts[1]!.resolve();
    parts[2]!.resolve();
    await expect(reducing).rejects.toBe(reason);
    expect(sums).toHaveLength(1);
  });
});
