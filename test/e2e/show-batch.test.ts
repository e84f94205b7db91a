import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, it, onTestFinished } from 'vitest';
import { augmentSample, lighting, projectiveTransform } from '../../plan/augmentation.js';
import { epochPermutation } from '../../plan/sampler.js';
import { storedShape } from '../../plan/stored-image.js';
import { createDecodePool, openImage } from '../../runtime/images.js';
import { decodeImage } from '../../worker/data/decode.js';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { light, warp } from '../support/tensorflow/reference-augmentation.js';
import { drawTinyFolder } from '../support/tiny-folder.js';
import { temporaryFolder } from '../support/tiny-run.js';

const [size, presize] = [32, 36];

afterEach(killCoordinators);

it('show-batch draws training images as an independent implementation resamples and lights them', async () => {
  const data = await drawTinyFolder(20, 48);
  onTestFinished(() => rmSync(data, { recursive: true, force: true }));
  const out = path.join(temporaryFolder(), 'batch.png');
  const { code, events, stderr } = await runCoordinator([
    ...['show-batch', '--data', data, '--seed', '3', '--size', String(size), '--count', '4', '--epoch', '1'],
    ...['--out', out, '--json'],
  ]);
  expect(code, stderr).toBe(0);
  const { images } = events.at(-1) as unknown as { images: { path: string; label: string }[] };
  const ids = epochPermutation(3, 1, 48);
  const png = await openImage(readFileSync(out)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const scale = 5;
  const places = [0, 1].flatMap((row) => [0, 1].map((column) => ({ row, column })));
  for (const [index, { row, column }] of places.entries()) {
    const { path: file, label } = images[index]!;
    expect(label).toBe(file.split('/')[0]);
    const { pixels, width, height } = await decodeImage(
      readFileSync(path.join(data, file)),
      presize,
      createDecodePool(),
    );
    const drawn = augmentSample('fastai', 3, 1, ids[index]!);
    const { rows } = storedShape(width / height, presize);
    const image = { size: presize, rows, channels: 3, values: pixels };
    const wanted = warp(image, projectiveTransform(drawn, width / height, presize, size), size).map(
      (value) => 255 * light(value / 255, lighting(drawn)),
    );
    const [left, top] = [12 + column * (size * scale + 12), 48 + row * (size * scale + 26)];
    const differences = wanted.map((value, at) => {
      const [x, y] = [left + (Math.floor(at / 3) % size) * scale, top + Math.floor(at / 3 / size) * scale];
      return Math.abs(png.data[(y * png.info.width + x) * 3 + (at % 3)]! - value);
    });
    expect(Math.max(...differences)).toBeLessThan(2);
  }
});
