import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { openImage, readSize } from '../../runtime/images.js';
import { claimSize } from '../support/images.js';

const width = 4000;
const height = 3000;
const megabytes = Math.floor((width * height * 3) / 2 ** 20);

function picture(): Sharp {
  return sharp({ create: { width, height, channels: 3, background: 'red' } });
}

/**
 * By how many megabytes libvips has come to hold more than ever before while it squeezes `bytes` to that
 * width.
 */
async function growth(bytes: Uint8Array, to: number): Promise<number> {
  const before = sharp.cache().memory.high;
  await openImage(bytes).resize(to, 100, { fit: 'fill' }).raw().toBuffer();
  return sharp.cache().memory.high - before;
}

describe('openImage', () => {
  it('has a JPEG decoded as a whole, but shrunk on the way, and other images line by line', async () => {
    const [jpeg, png] = await Promise.all([picture().jpeg().toBuffer(), picture().png().toBuffer()]);
    expect(await growth(png, 2500)).toBeLessThan(megabytes / 2);
    expect(await growth(jpeg, 200)).toBeLessThan(megabytes / 2);
    expect(await growth(jpeg, 2500)).toBeGreaterThan(megabytes / 2);
  });
});

describe('readSize', () => {
  it.each(['jpeg', 'png', 'webp'] as const)(
    'refuses what claims more than 250 megapixels, before it is decoded: %s',
    async (format) => {
      const whole = await sharp({ create: { width: 16, height: 16, channels: 3, background: 'red' } })
        .toFormat(format, { lossless: true })
        .toBuffer();
      expect(await readSize(claimSize(whole, 16_000, 15_625))).toEqual({ width: 16_000, height: 15_625 });
      const claimed = claimSize(whole, 16_001, 15_625);
      await expect(readSize(claimed)).rejects.toThrow(
        'is too large: 16001 × 15625, 251 megapixels, and at most 250 megapixels are decoded',
      );
      await expect(openImage(claimed).raw().toBuffer()).rejects.toThrow(/pixel limit/);
    },
  );

  it('gives the upright size', async () => {
    const turned = await picture().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await readSize(turned)).toEqual({ width: height, height: width });
  });
});
