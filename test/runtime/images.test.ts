import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../runtime/images.js';

const width = 4000;
const height = 3000;
const megabytes = Math.floor((width * height * 3) / 2 ** 20);

function picture(): Sharp {
  return sharp({ create: { width, height, channels: 3, background: 'red' } });
}

/** By how many megabytes libvips has come to hold more than ever before while it squeezes `bytes` to that width. */
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
