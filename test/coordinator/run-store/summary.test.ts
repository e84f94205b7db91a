import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import {
  readSummary,
  type Summary,
  writeSummary,
  writeSummaryAtOnce,
} from '../../../coordinator/run-store/summary.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const epoch = {
  ...{ epoch: 0, train_loss: 1, valid_loss: null, error_rate: 0.5, balanced_error: 0.5, macro_f1: null },
  ...{ top5_error: 0, seconds: 3, imagesPerSecond: 9 },
};
const summary: Summary = {
  ...{ status: 'failed', runId: 'a', directory: '/runs/a', arch: 'resnet18', classes: ['x', 'y'] },
  ...{ counts: { train: 8, valid: 2, quarantined: 1 }, worldSize: 2, steps: 3, totalSteps: 4 },
  ...{ skippedSteps: 0, epochs: [epoch], earlyStopped: false, bestEpoch: null, bestCheckpoint: null },
  ...{ parameterDigest: null, quarantined: [{ path: 'b.jpg', reason: 'torn' }], recoveries: 0 },
  ...{
    kernels: ['Eigen'],
    metrics: { published: 1, dropped: 0 },
    wallSeconds: 2.5,
    resume: 'x',
    report: null,
  },
  error: { code: 'internal', message: 'm', remedy: null },
};

describe('summary.json', () => {
  it.each([
    ['durably', writeSummary],
    ['at the last moment', writeSummaryAtOnce],
  ])('is read as it was written %s, with nothing beside it', async (_, write) => {
    const directory = runDirectoryAt(temporaryFolder());
    await write(directory, summary);
    await write(directory, summary);
    expect(await readSummary(directory)).toEqual(summary);
    expect(JSON.parse(readFileSync(directory.summary, 'utf8'))).toMatchObject({ formatVersion: 2 });
    expect(readdirSync(directory.path)).toEqual(['summary.json']);
  });

  it('is null where there is none', async () => {
    expect(await readSummary(runDirectoryAt(temporaryFolder()))).toBeNull();
  });

  it('that is damaged, or newer, is refused by name and field', async () => {
    const directory = runDirectoryAt(temporaryFolder());
    const damaged = { ...summary, epochs: [epoch, { ...epoch, seconds: 'three' }] };
    writeFileSync(directory.summary, JSON.stringify(damaged));
    await expect(readSummary(directory)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/summary\.json: epochs\.1\.seconds: .*expected number/),
    });
    writeFileSync(directory.summary, JSON.stringify({ ...summary, formatVersion: 9 }));
    await expect(readSummary(directory)).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});
