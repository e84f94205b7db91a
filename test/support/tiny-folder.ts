import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { openStream } from '../../plan/random.js';

/**
 * A temporary folder of JPEG files, one subfolder for each of three classes: noise around a colour of its
 * own.
 */
export async function drawTinyFolder(perClass: number, side = 40): Promise<string> {
  const root = mkdtempSync(path.join(tmpdir(), 'rondo-tiny-'));
  for (const [label, name] of ['blue', 'green', 'red'].entries()) {
    mkdirSync(path.join(root, name));
    for (let index = 0; index < perClass; index++) {
      const random = openStream(1, 'augmentation', label, index);
      const pixels = Uint8Array.from({ length: side * side * 3 }, (_, at) =>
        random.uniform(0, at % 3 === 2 - label ? 255 : 120),
      );
      await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
        .jpeg()
        .toFile(path.join(root, name, `${String(index).padStart(3, '0')}.jpg`));
    }
  }
  return root;
}
