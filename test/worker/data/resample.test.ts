import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openStream } from '../../../plan/random.js';
import { openImage, readPixels } from '../../../runtime/images.js';
import { decodePixels } from '../../../worker/data/decode.js';
import { plainJpegSize } from '../../../worker/data/plain-jpeg.js';
import { resample, resamples } from '../../../worker/data/resample.js';

const [red, green, blue] = [0, 1, 2];

/** Noise: every weight counts. */
function noise(width: number, height: number, channels: 1 | 3 | 4 = 3) {
  const stream = openStream(3, 'augmentation', width, height);
  const values = Buffer.from(Uint8Array.from({ length: width * height * channels }, () => stream.below(256)));
  return sharp(values, { raw: { width, height, channels } });
}

/** As libvips does it, which is what images of other kinds are given to. */
function shrink(bytes: Uint8Array, width: number, height: number): Promise<Buffer> {
  return openImage(bytes)
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer();
}

function turn(pixels: Uint8Array, width: number, height: number): Buffer {
  const turned = Buffer.alloc(pixels.length);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (const channel of [red, green, blue])
        turned[(x * height + y) * 3 + channel] = pixels[(y * width + x) * 3 + channel]!;
    }
  }
  return turned;
}

describe('resample', () => {
  it.each([
    [500, 375, 341, 256],
    [375, 500, 256, 341],
    [500, 375, 170, 128],
    [64, 64, 36, 36],
    [96, 128, 37, 49],
    [233, 117, 78, 40],
    [200, 100, 160, 80],
    [200, 200, 160, 80],
    [180, 120, 179, 119],
    [300, 90, 100, 31],
    [150, 250, 100, 100],
    [61, 12, 59, 4],
    [9, 19, 7, 7],
  ])('%i × %i to %i × %i gives the bits that libvips gives', async (width, height, toWidth, toHeight) => {
    const bytes = await noise(width, height).jpeg({ quality: 95 }).toBuffer();
    const size = { width, height };
    const to = { width: toWidth, height: toHeight };
    expect(plainJpegSize(bytes)).toEqual(size);
    expect(resamples(size, to)).toBe(true);
    const pixels = await readPixels(bytes, size);
    const expected = await shrink(bytes, toWidth, toHeight);
    expect(Buffer.from(resample(pixels, size, to, false)).equals(expected)).toBe(true);
    const turned = turn(expected, toWidth, toHeight);
    expect(Buffer.from(resample(pixels, size, to, true)).equals(turned)).toBe(true);
  });

  it('gives them for sizes of all kinds', async () => {
    const stream = openStream(1, 'augmentation');
    for (let tries = 0; tries < 150; tries += 1) {
      const from = { width: 8 + stream.below(250), height: 8 + stream.below(250) };
      const to = {
        width: Math.max(1, Math.round(from.width / stream.uniform(1, 3.2))),
        height: Math.max(1, Math.round(from.height / stream.uniform(1, 3.2))),
      };
      if (!resamples(from, to)) continue;
      const bytes = await noise(from.width, from.height).jpeg().toBuffer();
      const found = Buffer.from(resample(await readPixels(bytes, from), from, to, false));
      const same = found.equals(await shrink(bytes, to.width, to.height));
      expect(same, JSON.stringify({ from, to })).toBe(true);
    }
  });

  it('leaves to libvips what that does in other steps', () => {
    const square = (side: number) => ({ width: side, height: side });
    expect(resamples(square(100), square(100))).toBe(false);
    expect(resamples(square(100), square(120))).toBe(false);
    expect(resamples(square(300), square(100))).toBe(false);
    expect(resamples({ width: 400, height: 200 }, square(100))).toBe(false);
    expect(resamples(square(5), square(3))).toBe(false);
    expect(resamples(square(3_000), square(1_500))).toBe(false);
  });
});

describe('plainJpegSize', () => {
  it('is null for what has to be turned or converted, and for what is no JPEG', async () => {
    const jpegs = {
      exif: noise(40, 30).withMetadata({ orientation: 6 }).jpeg(),
      profile: noise(40, 30).withIccProfile('p3').jpeg(),
      grey: noise(40, 30, 1).toColourspace('b-w').jpeg(),
      inks: noise(40, 30).toColourspace('cmyk').jpeg(),
      png: noise(40, 30).png(),
      clear: noise(40, 30, 4).webp(),
    };
    for (const [name, image] of Object.entries(jpegs)) {
      const bytes = await image.toBuffer();
      expect(plainJpegSize(bytes), name).toBeNull();
      const pixels = await decodePixels(bytes, { width: 20, height: 20 }, 20);
      expect(Buffer.from(pixels).equals(await shrink(bytes, 20, 20)), name).toBe(true);
    }
    const plain = await noise(40, 30).jpeg().toBuffer();
    for (let end = 0; end < 100; end += 1) expect(plainJpegSize(plain.subarray(0, end))).toBeNull();
  });

  it('reads progressive ones, without chroma subsampling and with other parts before the picture', async () => {
    const image = noise(40, 30);
    const others = [
      image.clone().jpeg({ progressive: true }),
      image.clone().jpeg({ chromaSubsampling: '4:4:4' }),
      image.clone().jpeg({ mozjpeg: true }),
    ];
    for (const other of others) {
      const bytes = await other.toBuffer();
      const comment = Buffer.concat([Buffer.from('fffe0006', 'hex'), Buffer.from('note')]);
      const longer = Buffer.concat([bytes.subarray(0, 2), comment, Buffer.from([0xff]), bytes.subarray(2)]);
      for (const each of [bytes, longer]) {
        expect(plainJpegSize(each)).toEqual({ width: 40, height: 30 });
        const pixels = await decodePixels(each, { width: 40, height: 30 }, 20);
        expect(Buffer.from(pixels).equals(turn(await shrink(each, 27, 20), 27, 20))).toBe(true);
      }
    }
  });
});
