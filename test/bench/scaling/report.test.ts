import { describe, expect, it } from 'vitest';
import { type Run, summarize } from '../../../bench/scaling/report.js';

const run = (firstEpoch: number, laterEpoch: number, gradients: number): Run => ({
  speeds: { firstEpoch, laterEpoch },
  shares: { waitData: 0, gradients, waitRanks: 0, ringExposed: 0, apply: 1 - gradients, ringHidden: 0 },
});
const peer = (firstEpoch: number, laterEpoch: number): Run => ({
  speeds: { firstEpoch, laterEpoch },
  shares: null,
});

describe('summarize', () => {
  it('compares runs turn by turn', () => {
    const result = summarize(4, [run(20, 30, 0.8), run(40, 60, 0.9)], [peer(10, 30), peer(20, 60)]);
    expect(result.peer!.ratio.firstEpoch).toEqual({ p10: 2, median: 2, p90: 2 });
    expect(result.peer!.ratio.laterEpoch.median).toBe(1);
    expect(result.imagesPerSecond.firstEpoch.median).toBe(30);
    expect(result.shares.gradients.median).toBeCloseTo(0.85, 12);
  });

  it('stands alone without a peer', () => {
    expect(summarize(2, [run(1, 2, 0.5)], null).peer).toBeNull();
  });
});
