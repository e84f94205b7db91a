import { describe, expect, it } from 'vitest';
import { sharesOf, type WorkerStep } from '../../../bench/scaling/shares.js';

const workerStep = (step: number, rank: number, gradients: number, ringExposed: number): WorkerStep => ({
  ...{ step, rank, gradients, ringExposed },
  ...{ waitData: 0.5, ring: ringExposed + 2, apply: 1 },
});

describe('sharesOf', () => {
  it('tells waiting for the slowest rank from the ring’s own time after it', () => {
    const shares = sharesOf([workerStep(3, 0, 5, 3.5), workerStep(3, 1, 8, 0.5)]);
    expect(shares.waitData).toBeCloseTo(1 / 20, 12);
    expect(shares.gradients).toBeCloseTo(13 / 20, 12);
    expect(shares.waitRanks).toBeCloseTo(3 / 20, 12);
    expect(shares.ringExposed).toBeCloseTo(1 / 20, 12);
    expect(shares.apply).toBeCloseTo(2 / 20, 12);
    expect(shares.ringHidden).toBeCloseTo(4 / 20, 12);
  });

  it('leaves out the first steps of a run', () => {
    const settled = [workerStep(3, 0, 1, 0), workerStep(4, 0, 1, 0)];
    expect(sharesOf([workerStep(0, 0, 100, 9), ...settled])).toEqual(sharesOf(settled));
    expect(() => sharesOf([workerStep(2, 0, 1, 1)])).toThrow('no step after the first 3');
  });
});
