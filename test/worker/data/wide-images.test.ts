import path from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { drawAugmentation, lighting, projectiveTransform } from '../../../plan/augmentation.js';
import type { Dataset } from '../../../proto/dataset.js';
import { createDecodePool } from '../../../runtime/images.js';
import type { Sample } from '../../../runtime/storage/sample-columns.js';
import { decodeImage } from '../../../worker/data/decode.js';
import { loadFileBatches, localFile } from '../../../worker/data/file-batches.js';
import { openLoader } from '../../../worker/data/loader.js';
import { openInputProgram } from '../../../worker/model/input-program.js';
import { makeFolder, sha256, writeFiles } from '../../support/images.js';
import { resize, storeImage } from '../../support/pil-resize.js';
import { light, normalize, warp } from '../../support/tensorflow/reference-augmentation.js';

const [presize, size] = [64, 56];
const never = new AbortController().signal;
const program = openInputProgram({ presize, size });
afterAll(() => program.close());

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly values: Uint8Array;
}

/** Stripes of `period` pixels along and across, which only a resolution of less than period / 2 keeps. */
function stripes(width: number, height: number, period: number): Picture {
  const values = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const wave = (at: number) => Math.sin((2 * Math.PI * (at + 0.5)) / period);
      values.set(
        [127.5 + 120 * wave(x), 127.5 + 120 * wave(y), 60 + ((x * 7 + y * 3) % 90)],
        (y * width + x) * 3,
      );
    }
  }
  return { width, height, values };
}

function png({ width, height, values }: Picture): Promise<Buffer> {
  return sharp(values, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

function turn({ width, height, values }: Picture): Picture {
  const turned = new Uint8Array(values.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      turned.set(values.subarray((y * width + x) * 3, (y * width + x) * 3 + 3), (x * height + y) * 3);
    }
  }
  return { width: height, height: width, values: turned };
}

async function writePictures(pictures: readonly Picture[]) {
  const root = await makeFolder();
  const samples: Sample[] = [];
  for (const [i, picture] of pictures.entries()) {
    const bytes = await png(picture);
    await writeFiles(root, { [`${i}.png`]: bytes });
    const { width, height } = picture;
    samples.push({ path: `${i}.png`, label: 0, width, height, digest: sha256(bytes) });
  }
  const dataset: Dataset = { root, classes: ['a', 'b'], train: samples, valid: [], digest: 'd' };
  return { dataset, files: samples.map((sample) => path.join(root, sample.path)) };
}

/** What the network is given of files by `predict`, one array for each. */
async function predictInput(files: readonly string[], batch = files.length): Promise<Float32Array[]> {
  const images: Float32Array[] = [];
  const options = { size, presize, batch, depth: 2, signal: never };
  for await (const loaded of loadFileBatches(files.map(localFile), options)) {
    images.push(...split(program.images(loaded), loaded.ids.length));
    loaded.release();
  }
  return images;
}

/** What the network is given of samples in training, one array for each. */
async function trainingInput(dataset: Dataset, ids: readonly number[], epoch: number | null) {
  const config = { seed: 5, size, presize, microBatch: 4, augment: 'fastai' } as const;
  const loader = openLoader({ dataset, config, cacheBytes: 0, cacheDir: '/nowhere', diskCacheBytes: 0 });
  try {
    const requests = [{ split: 'train' as const, ids: Uint32Array.from(ids), epoch }];
    for await (const batch of loader.load(requests, { depth: 1, signal: never })) {
      const images = split(program.images(batch), ids.length);
      batch.release();
      return images;
    }
    throw new Error('no batch');
  } finally {
    await loader.close();
  }
}

function split(images: Float32Array, count: number): Float32Array[] {
  const length = images.length / count;
  return Array.from({ length: count }, (_, i) => images.slice(i * length, (i + 1) * length));
}

function differences(found: ArrayLike<number>, wanted: readonly number[]) {
  const all = wanted.map((value, at) => Math.abs(found[at]! - value));
  return { max: Math.max(...all), mean: all.reduce((sum, each) => sum + each, 0) / all.length };
}

/** [height, width] of shapes: square, 4:3, 16:9, 3:1, 8:1 and a panorama beyond what keeps its resolution. */
const shapes = [
  [128, 128],
  [120, 160],
  [108, 192],
  [96, 288],
  [80, 640],
  [64, 900],
] as const;

describe('a long image', () => {
  it.each(shapes.slice(0, 5))('of %i × %i loses nothing along its long side', async (height, width) => {
    // As torchvision's Resize(presize) and the middle of it. In between lies Rondo's second resampling,
    // presize to size.
    const picture = stripes(width, height, (6 * height) / presize);
    const { files } = await writePictures([picture, turn(picture)]);
    const [wide, tall] = await predictInput(files);
    const long = Math.round((presize * width) / height);
    const resized = resize(picture.values, [height, width], [presize, long]);
    const contrast = (channel: number, from: ArrayLike<number>) => {
      const values = Array.from({ length: from.length / 3 }, (_, at) => from[at * 3 + channel]!);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    };
    const kept = contrast(0, wide!) * 0.229 * 255;
    // Stripes along the long side, those along the short side, and what one resampling alone leaves of them.
    expect(kept / (contrast(1, wide!) * 0.224 * 255)).toBeGreaterThan(0.97);
    expect(kept / contrast(0, resized)).toBeGreaterThan(0.8);
    // Turned by a quarter it is the same picture, turned.
    const back = turn({ width: size, height: size, values: Uint8Array.from({ length: size * size * 3 }) });
    expect(back.values).toHaveLength(tall!.length);
    const turned = Array.from({ length: tall!.length }, (_, at) => {
      const [y, x, channel] = [Math.floor(at / 3 / size), Math.floor(at / 3) % size, at % 3];
      return wide![(x * size + y) * 3 + channel]!;
    });
    expect(differences(tall!, turned).max).toBeLessThan(0.05);
  });

  it('shows the same middle as the square that lies there', async () => {
    const square = stripes(96, 96, 9);
    const values = new Uint8Array(96 * 288 * 3);
    // 3:1, mirrored beyond the square: the resampling at its edges sees the same.
    for (let y = 0; y < 96; y += 1) {
      for (let x = 0; x < 288; x += 1) {
        const from = x < 96 ? 95 - x : x < 192 ? x - 96 : 287 - x;
        values.set(square.values.subarray((y * 96 + from) * 3, (y * 96 + from) * 3 + 3), (y * 288 + x) * 3);
      }
    }
    const { files } = await writePictures([square, { width: 288, height: 96, values }]);
    const [one, other] = await predictInput(files);
    // Grids have their corner pixels' centres at the ends: of a longer image they lie a little wider apart.
    const { mean } = differences(other!, [...one!]);
    expect(mean).toBeLessThan(0.06);
  });
});

describe('decoding, window, transform and lighting', () => {
  const pictures = shapes.flatMap(([height, width]) => {
    const picture = stripes(width, height, 17);
    return width === height ? [picture] : [picture, turn(picture)];
  });

  it.each([null, 0, 1, 2])(
    'give what independent resampling of the whole image gives: epoch %s',
    async (epoch) => {
      const { dataset, files } = await writePictures(pictures);
      const ids = pictures.map((_, id) => id);
      const images = await trainingInput(dataset, ids, epoch);
      for (const [id, { width, height, values }] of pictures.entries()) {
        const stored = storeImage(values, height, width, presize);
        const drawn = epoch === null ? null : drawAugmentation(5, epoch, id);
        const transform = projectiveTransform(drawn, width / height, presize, size);
        const numbers = lighting(drawn);
        const wanted = warp(stored, transform, size).map((value, at) =>
          normalize(drawn === null ? value / 255 : light(value / 255, numbers), at % 3),
        );
        const { max, mean } = differences(images[id]!, wanted);
        // libvips rounds the filter's weights and each of its two passes; lighting stretches what lies near 0
        // and 1.
        expect(mean).toBeLessThan(0.02);
        expect(max).toBeLessThan(0.12);
      }
      // And `predict` sees what validation sees.
      if (epoch === null) expect(await predictInput(files)).toEqual(images);
    },
  );

  it('do not depend on the other images of the batch, bit for bit', async () => {
    const { dataset, files } = await writePictures(pictures);
    const ids = pictures.map((_, id) => id);
    const together = await trainingInput(dataset, ids, 1);
    for (const id of ids) expect((await trainingInput(dataset, [id], 1))[0]).toEqual(together[id]);
    expect(await predictInput(files, 1)).toEqual(await predictInput(files));
  });

  it('store no more than eight squares of an image, however long it is', async () => {
    for (const [width, height] of [
      [5000, 10],
      [10, 5000],
    ] as const) {
      const { pixels } = await decodeImage(await png(stripes(width, height, 9)), presize, createDecodePool());
      expect(pixels).toHaveLength(8 * presize * presize * 3);
    }
  });
});
