import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { showBatch } from '../../../coordinator/inference/show-batch.js';
import { epochPermutation } from '../../../plan/sampler.js';
import { showBatchJob } from '../../../proto/jobs.js';
import { RondoError } from '../../../runtime/errors.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

const signal = new AbortController().signal;
const base = { dataset: tinyDataset(), seed: 5, size: 32, augment: 'flip', epoch: 2, signal } as const;

describe('showBatch', () => {
  it('asks for the first samples of the epoch, and writes the picture into a new folder', async () => {
    const out = join(temporaryFolder(), 'new', 'batch.png');
    let asked: Record<string, unknown> = {};
    const shown = await showBatch({
      ...base,
      out,
      count: 6,
      async runJob(request) {
        asked = showBatchJob.request.parse(JSON.parse(JSON.stringify(request)));
        writeFileSync(request.output, new Uint8Array(6 * 32 * 32 * 3));
        return {};
      },
    });
    const ids = [...epochPermutation(5, 2, 22).slice(0, 6)];
    expect(asked).toMatchObject({ ids, epoch: 2 });
    expect(asked.config).toEqual({ seed: 5, size: 32, presize: 36, augment: 'flip', microBatch: 6 });
    expect(shown).toEqual(ids.map((id) => ({ path: `train/${id}.jpg`, label: ['cat', 'dog'][id % 2] })));
    expect(readFileSync(out).subarray(1, 4).toString()).toBe('PNG');
    expect(existsSync(asked.output as string)).toBe(false);
  });

  it('shows no more images than there are, and passes a failure on', async () => {
    const runJob = async (request: object) => {
      expect(request).toMatchObject({ ids: { length: 22 } });
      throw new RondoError('data-loss', 'torn');
    };
    const failed = showBatch({ ...base, out: join(temporaryFolder(), 'x.png'), count: 400, runJob });
    await expect(failed).rejects.toMatchObject({ code: 'data-loss' });
  });
});
