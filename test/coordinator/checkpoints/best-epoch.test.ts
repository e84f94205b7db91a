import { describe, expect, it } from 'vitest';
import { countSinceBest, findBestEpoch } from '../../../coordinator/checkpoints/best-epoch.js';
import { decideEarlyStop } from '../../../coordinator/run/train-phases.js';
import type { EpochRecord } from '../../../coordinator/run-store/epoch-record.js';
import type { PhaseConfig } from '../../../plan/run-config.js';

function epochsOf(...losses: (number | null)[]): EpochRecord[] {
  return losses.map((loss, epoch) => ({
    epoch,
    train_loss: 1,
    valid_loss: loss,
    error_rate: loss === null ? null : 10 - loss,
    balanced_error: loss,
    macro_f1: loss,
    top5_error: loss,
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
    expect(findBestEpoch(epochs, 'balanced_error')?.epoch).toBe(0);
    expect(findBestEpoch(epochs, 'top5_error')?.epoch).toBe(0);
  });

  it('has the highest macro F1, the earliest of equals', () => {
    expect(findBestEpoch(epochsOf(0.5, null, 0.75, 0.75, 0.25), 'macro_f1')?.epoch).toBe(2);
    expect(findBestEpoch(epochsOf(0), 'macro_f1')?.epoch).toBe(0);
    expect(findBestEpoch(epochsOf(null), 'macro_f1')).toBeNull();
  });
});

describe('early stopping', () => {
  const phase = (name: string, epochs: number): PhaseConfig => ({
    ...{ name, epochs },
    trainable: 'all',
    learningRates: [1, 1, 1],
  });
  const one = [phase('unfrozen', 6)];
  const two = [phase('frozen', 4), phase('unfrozen', 5)];

  it('waits as long as it is told, and names the best epoch', () => {
    const losses = [5, 3, 4, 4, 4];
    const decisions = losses.map((_, k) => decideEarlyStop(epochsOf(...losses.slice(0, k + 1)), 3, one));
    expect(decisions.slice(0, 4)).toEqual([null, null, null, null]);
    expect(decisions[4]).toEqual({
      ...{ phase: 'unfrozen', nextPhase: null, epoch: 4 },
      ...{ patience: 3, bestEpoch: 1, validLoss: 3 },
    });
  });

  it('is off without a patience, and has nothing to stop after a phase’s last epoch', () => {
    const epochs = epochsOf(1, 2, 2, 2, 2);
    expect(decideEarlyStop(epochs, null, one)).toBeNull();
    expect(decideEarlyStop(epochs, 1, [phase('unfrozen', 5)])).toBeNull();
    expect(decideEarlyStop(epochs, 1, [phase('frozen', 5), phase('unfrozen', 1)])).toBeNull();
    expect(decideEarlyStop([], 1, one)).toBeNull();
  });

  it('looks at one phase alone', () => {
    // What the frozen epochs reached does not count against the first unfrozen ones.
    const losses = [1, 5, 4, 3, 9, 8, 8, 8];
    const at = (count: number) => decideEarlyStop(epochsOf(...losses.slice(0, count)), 2, two);
    expect([1, 2, 4, 5, 6, 7].map(at)).toEqual([null, null, null, null, null, null]);
    expect(at(3)).toMatchObject({ phase: 'frozen', nextPhase: 'unfrozen', epoch: 2, bestEpoch: 0 });
    expect(at(8)).toMatchObject({ phase: 'unfrozen', nextPhase: null, epoch: 7, bestEpoch: 5, validLoss: 8 });
  });

  it('counts the epochs that a phase has had, not those that were planned', () => {
    const [first, second, fifth, sixth] = [0, 1, 4, 5].map((epoch) => ({ ...epochsOf(7)[0]!, epoch }));
    expect(decideEarlyStop([first!, second!], 1, two)).toMatchObject({ epoch: 1, bestEpoch: 0 });
    expect(decideEarlyStop([first!, second!, fifth!], 1, two)).toBeNull();
    expect(decideEarlyStop([first!, second!, fifth!, sixth!], 1, two)).toMatchObject({ bestEpoch: 4 });
  });

  it('ends a phase whose loss is never finite', () => {
    expect(decideEarlyStop(epochsOf(null, null), 2, one)).toMatchObject({
      ...{ patience: 2, bestEpoch: null, validLoss: null },
    });
  });
});
