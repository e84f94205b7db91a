import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBest } from '../../../coordinator/checkpoints/best-epoch.js';
import { chooseCheckpoint } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import { fresh, runStart } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('a run that keeps the best', () => {
  it('marks it by the measure it is told, moves the mark when there is a better one, and keeps it', async () => {
    const losses = [3, 1, 2, 0.5, 2, 2];
    const keep = { ...fresh, epochs: 6, 'keep-best': 'valid_loss' };
    const runs = temporaryFolder();
    const marked: (string | null)[] = [];
    const { summary, path } = await runStart(runs, keep, {
      validLoss: (epoch) => losses[epoch]!,
      beforeStep(step) {
        if (step > 0 && step % 3 === 0) marked.push(readBest(join(runs, 'mine', 'checkpoints')));
      },
    });
    expect(marked).toEqual(['epoch-0000', 'epoch-0001', 'epoch-0001', 'epoch-0003', 'epoch-0003']);
    expect(summary).toMatchObject({ bestEpoch: 3, bestCheckpoint: 'epoch-0003', earlyStopped: false });
    expect(readdirSync(join(path, 'checkpoints')).sort()).toEqual([
      'best',
      'epoch-0003',
      'epoch-0004',
      'epoch-0005',
    ]);
    const chosen = await chooseCheckpoint(runDirectoryAt(path), undefined);
    expect(chosen).toMatchObject({
      name: 'best',
      record: { epoch: 3 },
      epoch: { epoch: 3, valid_loss: 0.5 },
    });
  });

  it('marks nothing unless it is asked to', async () => {
    const { summary } = await runStart(temporaryFolder(), fresh);
    expect(summary).toMatchObject({ bestEpoch: 0, bestCheckpoint: null });
  });
});
