import { describe, expect, it } from 'vitest';
import { countSinceBest, findBestEpoch } from '../../../coordinator/checkpoints/best-epoch.js';
import { decideEarlyStop } from '../../../coordinator/run/early-stopping.js';
import type { EpochRecord } from '../../../coordinator/run-store/epoch-record.js';

function epochsOf(...losses: (number | null)[]): EpochRecord[] {
  return losses.map((loss, epoch) => ({
    epoch,
    train_loss: 1,
    valid_loss: loss,
    error_rate: loss === null ? null : 10 - loss,
    seconds: 1,
    imagesPerSecond: 1,
  }));
}

describe('the best epoch', () => {
  it.each([
    [[3, 2, 1], 2, 0],
    [[1, 2, 3], 0, 2],
    [[2, 1, 1, 2], 1, 2],
    [[null, 4, null], 1, 1],
    [[null, null], null, 2],
    [[], null, 0],
  ] as [(number | null)[], number | null, number][])('of %j is %j, %i ago', (losses, best, since) => {
    const epochs = epochsOf(...losses);
    expect(findBestEpoch(epochs, 'valid_loss')?.epoch ?? null).toBe(best);
    expect(countSinceBest(epochs, 'valid_loss')).toBe(since);
  });

  it('depends on the measure', () => {
    const epochs = epochsOf(1, 2, 3);
    expect(findBestEpoch(epochs, 'error_rate')?.epoch).toBe(2);
  });
});

describe('early stopping', () => {
  const planned = 6;

  it('waits as long as it is told, and names the best epoch', () => {
    const losses = [5, 3, 4, 4, 4];
    const decisions = losses.map((_, k) => decideEarlyStop(epochsOf(...losses.slice(0, k + 1)), 3, planned));
    expect(decisions.slice(0, 4)).toEqual([null, null, null, null]);
    expect(decisions[4]).toEqual({ patience: 3, bestEpoch: 1, validLoss: 3 });
  });

  it('is off without a patience, and has nothing to stop after the last epoch', () => {
    const epochs = epochsOf(1, 2, 2, 2, 2);
    expect(decideEarlyStop(epochs, null, planned)).toBeNull();
    expect(decideEarlyStop(epochs, 1, 5)).toBeNull();
    expect(decideEarlyStop([], 1, 5)).toBeNull();
  });

  it('ends a run whose loss is never finite', () => {
    expect(decideEarlyStop(epochsOf(null, null), 2, planned)).toEqual({
      patience: 2,
      bestEpoch: null,
      validLoss: null,
    });
  });
});
