import { describe, expect, it } from 'vitest';
import { mergeEvaluation } from '../../../coordinator/membership/merge-evaluation.js';
import type { Evaluation } from '../../../proto/gen/coordinator.js';

const places = [0, 1, 2].map((rank) => ({ workerId: `worker-${rank}`, rank, address: '', pid: 1, host: '' }));

function share(rank: number, sampleIds: number[], changes: Partial<Evaluation> = {}): Evaluation {
  return {
    generation: 1n,
    step: 9n,
    epoch: 2,
    rank,
    sampleIds,
    losses: sampleIds.map((id) => id + 0.5),
    predictions: sampleIds.map((id) => id * 2),
    labelRanks: sampleIds.map((id) => id * 3),
    probabilities: sampleIds.map((id) => 1 / (id + 1)),
    ...changes,
  };
}

describe('mergeEvaluation', () => {
  it.each([0, 1, 2, 3, 10, 101])('puts %i samples of three ranks in order', (count) => {
    const ids = Array.from({ length: count }, (_, id) => id);
    // Each rank's ids come in reverse, as no one promised an order.
    const shares = [0, 1, 2].map((rank) => share(rank, ids.filter((id) => id % 3 === rank).reverse()));
    expect(mergeEvaluation(places, shares, count)).toEqual({
      epoch: 2,
      step: 9,
      sampleIds: Uint32Array.from(ids),
      losses: Float32Array.from(ids, (id) => id + 0.5),
      labelRanks: Uint32Array.from(ids, (id) => id * 3),
      predictions: Uint32Array.from(ids, (id) => id * 2),
      probabilities: Float32Array.from(ids, (id) => 1 / (id + 1)),
    });
  });

  it.each([
    [
      'after different steps',
      [share(0, [0]), share(1, [1], { step: 8n }), share(2, [])],
      /worker-1.*after step 8/,
    ],
    [
      'with arrays of different lengths',
      [share(0, [0]), share(1, [1], { losses: [] }), share(2, [])],
      /worker-1 \(rank 1\) sent arrays of different lengths/,
    ],
    ['that lack a sample', [share(0, [0]), share(1, []), share(2, [])], /nobody sent sample 1/],
    [
      'that share a sample',
      [share(0, [0]), share(1, [1]), share(2, [0])],
      /worker-2.*sample 0 a second time/,
    ],
    [
      'with a sample from nowhere',
      [share(0, [0]), share(1, [2]), share(2, [1])],
      /worker-1.*sample 2, unknown/,
    ],
  ])('refuses shares %s', (_, shares, reason) => {
    expect(() => mergeEvaluation(places, shares, 2)).toThrowError(
      expect.objectContaining({ code: 'data-loss', message: expect.stringMatching(reason) }),
    );
  });
});
