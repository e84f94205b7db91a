import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { openStream } from '../../plan/random.js';
import { makeFolder } from '../../runtime/make-folder.js';

/** Of every picture. */
export const pictureSize = { width: 500, height: 375 } as const;
const { width, height } = pictureSize;
const perOctave = [4, 16, 64, 250];

/**
 * Fills `folder` with `count` JPEG files of 500 × 375, about as large as photographs (clouds of several sizes
 * of detail); what is there already stays. Returns their paths.
 */
export async function makePictures(folder: string, count: number): Promise<string[]> {
  makeFolder(folder);
  const present = new Set(await readdir(folder));
  const names = Array.from({ length: count }, (_, i) => `${String(i).padStart(5, '0')}.jpg`);
  for (const [i, name] of names.entries()) {
    if (!present.has(name)) await writeFile(path.join(folder, name), await drawClouds(i));
  }
  return names.map((name) => path.join(folder, name));
}

async function drawClouds(index: number): Promise<Buffer> {
  const stream = openStream(index, 'augmentation');
  const octaves = await Promise.all(
    perOctave.map((columns) => {
      const rows = Math.round((columns * height) / width);
      const noise = Buffer.from(Uint8Array.from({ length: columns * rows * 3 }, () => stream.below(256)));
      return sharp(noise, { raw: { width: columns, height: rows, channels: 3 } })
        .resize(width, height, { fit: 'fill', kernel: 'cubic' })
        .raw()
        .toBuffer();
    }),
  );
  const weights = [0.5, 0.27, 0.15, 0.08];
  const pixels = Buffer.alloc(width * height * 3);
  for (let i = 0; i < pixels.length; i += 1) {
    pixels[i] = octaves.reduce((sum, octave, o) => sum + octave[i]! * weights[o]!, 0);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer();
}
