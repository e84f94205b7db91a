import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { openStream } from '../../plan/random.js';
import { createLimiter } from '../../runtime/limiter.js';
import { makeFolder } from '../../runtime/make-folder.js';

/** Of the grid that a picture is drawn from, and pictures that are drawn at a time. */
const [coarse, atATime] = [8, 16];
export const classes = 10;

/**
 * Fills `folder` with `count` JPEG files of `side` × `side`, no two alike: a grid of random colours, made smooth. What
 * an earlier call has finished stays.
 */
export async function drawSmallPictures(
  folder: string,
  count: number,
  side: number,
  onProgress: (done: number) => void,
): Promise<void> {
  const finished = path.join(path.dirname(folder), 'drawn');
  if (existsSync(finished)) return;
  rmSync(folder, { recursive: true, force: true });
  for (let label = 0; label < classes; label += 1) makeFolder(path.join(folder, String(label)));
  const limit = createLimiter(atATime);
  const draw = async (index: number) => {
    const stream = openStream(index, 'augmentation');
    const grid = Uint8Array.from({ length: coarse * coarse * 3 }, () => stream.below(256));
    // A class is a colour that is stronger in all of its pictures.
    for (let at = index % 3; at < grid.length; at += 3) grid[at] = (grid[at]! >> 1) + (index % classes) * 12;
    const bytes = await sharp(grid, { raw: { width: coarse, height: coarse, channels: 3 } })
      .resize(side, side, { fit: 'fill', kernel: 'cubic' })
      .jpeg({ quality: 85 })
      .toBuffer();
    await writeFile(path.join(folder, String(index % classes), `${index}.jpg`), bytes);
  };
  // In pieces: a list of all of them would be what takes the memory.
  for (let from = 0; from < count; from += 1_000) {
    const some = Array.from({ length: Math.min(1_000, count - from) }, (_, at) => from + at);
    await Promise.all(some.map((index) => limit(() => draw(index))));
    onProgress(Math.min(count, from + 1_000));
  }
  writeFileSync(finished, '');
}
