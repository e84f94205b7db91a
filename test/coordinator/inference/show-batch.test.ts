import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawImageGrid, showBatch } from '../../../coordinator/inference/show-batch.js';
import { epochPermutation } from '../../../plan/sampler.js';
import { showBatchJob } from '../../../proto/jobs.js';
import { RondoError } from '../../../runtime/errors.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

const signal = new AbortController().signal;
const base = {
  dataset: tinyDataset(),
  seed: 5,
  shuffleWindow: 0,
  ...{ batchSize: 8, microBatch: 4 },
  size: 32,
  augment: 'flip',
  epoch: 2,
  signal,
} as const;

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
    const samples = ids.map((id) => ({ id, sample: base.dataset.train.at(id) }));
    expect(asked).toMatchObject({ root: base.dataset.root, samples, epoch: 2 });
    expect(asked.config).toEqual({ seed: 5, size: 32, presize: 36, augment: 'flip', microBatch: 6 });
    expect(shown).toEqual(ids.map((id) => ({ path: `train/${id}.jpg`, label: ['cat', 'dog'][id % 2] })));
    expect(readFileSync(out).subarray(1, 4).toString()).toBe('PNG');
    expect(existsSync(asked.output as string)).toBe(false);
  });

  it('shows no more images than there are, and passes a failure on', async () => {
    const runJob = async (request: object) => {
      expect(request).toMatchObject({ samples: { length: 22 } });
      throw new RondoError('data-loss', 'torn');
    };
    const failed = showBatch({ ...base, out: join(temporaryFolder(), 'x.png'), count: 400, runJob });
    await expect(failed).rejects.toMatchObject({ code: 'data-loss' });
  });
});

it('draws every pixel of every image as a square of its own colour, and a label below', async () => {
  const size = 32;
  const count = 5;
  const pixels = Uint8Array.from({ length: count * size * size * 3 }, (_, index) => (index * 89) % 251);
  const labels = ['cat', 'dog', 'a & b', 'x'.repeat(90), ''];
  const png = await drawImageGrid({ title: 'five', pixels, size, labels });
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const scale = 5; // 32 px are enlarged to 160
  const cell = { width: size * scale + 12, height: size * scale + 26 };
  expect(info.width).toBe(12 + 3 * cell.width);
  const at = (x: number, y: number) => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  for (let image = 0; image < count; image += 1) {
    const [left, top] = [12 + (image % 3) * cell.width, 48 + Math.floor(image / 3) * cell.height];
    for (const [x, y] of [
      [0, 0],
      [31, 0],
      [7, 20],
      [31, 31],
    ] as const) {
      const start = ((image * size + y) * size + x) * 3;
      const wanted = [...pixels.subarray(start, start + 3)];
      expect(at(left + x * scale, top + y * scale)).toEqual(wanted);
      expect(at(left + x * scale + scale - 1, top + y * scale + scale - 1)).toEqual(wanted);
    }
    const caption = data.subarray(
      (top + size * scale + 4) * info.width * 3,
      (top + size * scale + 22) * info.width * 3,
    );
    expect(caption.some((value) => value < 128)).toBe(true);
  }
});
