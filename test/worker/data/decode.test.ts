import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { storedShape } from '../../../plan/stored-image.js';
import { createDecodePool } from '../../../runtime/images.js';
import { decodeImage, decodePixels } from '../../../worker/data/decode.js';
import { gradientImage, jpegBytes } from '../../support/images.js';

const presize = 24;
/** For images whose sides are equal. */
const square = { width: 1, height: 1 };

/** Largest and mean difference of two images. */
function difference(a: Uint8Array, b: Uint8Array): { max: number; mean: number } {
  const differences = Array.from(a, (value, i) => Math.abs(value - b[i]!));
  return { max: Math.max(...differences), mean: differences.reduce((sum, d) => sum + d, 0) / a.length };
}

/** A gradient as it should be stored: resized by sharp, then turned pixel by pixel. */
async function stored(width: number, height: number): Promise<Buffer> {
  const { rows, columns, turned } = storedShape(width / height, presize);
  const [w, h] = turned ? [rows, columns] : [columns, rows];
  const upright = await gradientImage(width, height)
    .resize(w, h, { fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer();
  if (!turned) return upright;
  const turnedPixels = Buffer.alloc(upright.length);
  for (let y = 0; y < h; y += 1) {
    for (let x = 0; x < w; x += 1) {
      turnedPixels.set(upright.subarray((y * w + x) * 3, (y * w + x) * 3 + 3), (x * h + y) * 3);
    }
  }
  return turnedPixels;
}

describe('decodePixels', () => {
  it.each(['jpeg', 'png', 'webp'] as const)(
    "agrees with sharp's own resize of the pixels: %s",
    async (format) => {
      const bytes = await gradientImage(300, 200).toFormat(format, { quality: 100 }).toBuffer();
      const pixels = await decodePixels(bytes, { width: 300, height: 200 }, presize);
      expect(pixels).toHaveLength(36 * presize * 3);
      const { max, mean } = difference(pixels, await stored(300, 200));
      expect(max).toBeLessThanOrEqual(10);
      expect(mean).toBeLessThan(2);
    },
  );

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('turns orientation %i upright', async (orientation) => {
    const upright = await gradientImage(120, 60).png().toBuffer();
    const turned = {
      1: sharp(upright),
      2: sharp(upright).flop(),
      3: sharp(upright).rotate(180),
      4: sharp(upright).flip(),
      5: sharp(await sharp(upright).rotate(90).toBuffer()).flop(),
      6: sharp(upright).rotate(270),
      7: sharp(await sharp(upright).rotate(270).toBuffer()).flop(),
      8: sharp(upright).rotate(90),
    }[orientation]!;
    const bytes = await turned.withMetadata({ orientation }).jpeg({ quality: 100 }).toBuffer();
    const pixels = await decodePixels(bytes, { width: 120, height: 60 }, presize);
    expect(difference(pixels, await stored(120, 60)).max).toBeLessThanOrEqual(12);
  });

  it('puts transparent pixels on white', async () => {
    const clear = { width: 40, height: 40, channels: 4 as const, background: { r: 0, g: 0, b: 0, alpha: 0 } };
    const pixels = await decodePixels(await sharp({ create: clear }).png().toBuffer(), square, presize);
    expect([...new Set(pixels)]).toEqual([255]);
  });

  it('makes three equal channels of grey, 8 and 16 bit', async () => {
    for (const space of ['b-w', 'grey16'] as const) {
      const bytes = await gradientImage(60, 60).greyscale().toColourspace(space).png().toBuffer();
      expect((await sharp(bytes).metadata()).space).toBe(space);
      const pixels = await decodePixels(bytes, square, presize);
      const triples = Array.from({ length: presize * presize }, (_, i) => [
        ...pixels.subarray(i * 3, i * 3 + 3),
      ]);
      expect(triples.every(([r, g, b]) => r === g && g === b)).toBe(true);
      expect(Math.max(...pixels)).toBeGreaterThan(Math.min(...pixels) + 100);
    }
  });

  it('converts CMYK and 16-bit colour to sRGB', async () => {
    const expected = await stored(60, 60);
    const cmyk = await gradientImage(60, 60).toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe('cmyk');
    // Ink cannot show pure red and green, so only the middle of the range survives the way there and back.
    expect(difference(await decodePixels(cmyk, square, presize), expected).mean).toBeLessThan(40);
    const deep = await gradientImage(60, 60).toColourspace('rgb16').png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect(difference(await decodePixels(deep, square, presize), expected).max).toBeLessThanOrEqual(3);
  });

  it('refuses truncated files, wherever they end', async () => {
    const files = [await jpegBytes(1, 200, 200), await gradientImage(200, 200).png().toBuffer()];
    for (const bytes of files) {
      for (const share of [0.05, 0.5, 0.95]) {
        await expect(
          decodePixels(bytes.subarray(0, bytes.length * share), square, presize),
        ).rejects.toThrow();
      }
    }
  });

  it.each(['gif', 'tiff', 'avif'] as const)('reads %s', async (format) => {
    const image = gradientImage(120, 60);
    const pixels = await decodePixels(
      await image.clone().toFormat(format).toBuffer(),
      { width: 120, height: 60 },
      presize,
    );
    const expected = await decodePixels(
      await image.clone().png().toBuffer(),
      { width: 120, height: 60 },
      presize,
    );
    expect(pixels).toHaveLength(2 * presize * presize * 3);
    const apart = pixels.reduce((sum, value, i) => sum + Math.abs(value - expected[i]!), 0) / pixels.length;
    expect(apart).toBeLessThan(8);
  });

  it('refuses formats that are not opened to untrusted files', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';
    await expect(decodePixels(Buffer.from(svg), square, presize)).rejects.toThrow(/unsupported/);
  });
});

it.each([
  [9, 8],
  [11, 8],
  [24, 23],
  [37, 22],
  [40, 21],
  [8, 1],
])('turns a stored image of %i × %i as sharp does', async (rows, columns) => {
  const noise = Buffer.from(Uint8Array.from({ length: rows * columns * 3 }, (_, i) => (i * i * 31) >> 3));
  const image = sharp(noise, { raw: { width: rows, height: columns, channels: 3 } });
  const expected = await image.clone().rotate(90).flip().raw().toBuffer();
  const size = { width: rows, height: columns };
  const pixels = await decodePixels(await image.png().toBuffer(), size, columns);
  expect(Buffer.from(pixels).equals(expected)).toBe(true);
});

describe('decodeImage', () => {
  it.each([
    [1, 120, 60],
    [2, 120, 60],
    [5, 60, 120],
    [6, 60, 120],
  ])('gives the same pixels and the upright size: orientation %i', async (orientation, width, height) => {
    const bytes = await gradientImage(120, 60).withMetadata({ orientation }).jpeg().toBuffer();
    const pixels = await decodePixels(bytes, { width, height }, presize);
    expect(await decodeImage(bytes, presize, createDecodePool())).toEqual({ pixels, width, height });
  });
});
