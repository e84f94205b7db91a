import { mkdirSync, mkdtempSync, readdirSync, truncateSync, utimesSync } from 'node:fs';
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

/** A JPEG may have anything behind its end: so few files are many bytes, and verified by a process. */
const [paddedFiles, paddedBytes] = [9, 30 << 20];

/** Makes such a folder large. */
export function padImages(root: string): void {
  for (const name of readdirSync(path.join(root, 'red')).slice(0, paddedFiles)) {
    truncateSync(path.join(root, 'red', name), paddedBytes);
  }
}

/** What was found in the files before counts no more. */
export function forgetFindings(root: string): void {
  const time = Date.now() / 1_000;
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    utimesSync(path.join(root, name), time, time);
  }
}
