import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { onTestFinished } from 'vitest';
import type { Dataset } from '../../proto/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';

/** A folder of its own, gone when the test ends. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rondo-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export async function writeFiles(
  root: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(root, name)), { recursive: true });
    await writeFile(path.join(root, name), bytes);
  }
}

/** A smooth picture that differs with `variant`: red grows to the right, green downwards. */
export function gradientImage(width: number, height: number, variant = 0): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      pixels.set([(x / width) * 255, (y / height) * 255, (variant * 37) % 256], (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

export function jpegBytes(variant = 0, width = 64, height = 48): Promise<Buffer> {
  return gradientImage(width, height, variant).jpeg({ quality: 95 }).toBuffer();
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** `count` JPEG files in classes a and b under `root`; the last `validCount` are for validation. */
export async function writeDataset(root: string, count: number, validCount: number): Promise<Dataset> {
  const samples: Sample[] = [];
  for (let i = 0; i < count; i += 1) {
    const [width, height] = [64 + i, 48];
    const bytes = await jpegBytes(i, width, height);
    const name = `${i % 2 === 0 ? 'a' : 'b'}/${i}.jpg`;
    await writeFiles(root, { [name]: bytes });
    samples.push({ path: name, label: i % 2, width, height, digest: sha256(bytes) });
  }
  return {
    root,
    classes: ['a', 'b'],
    train: samples.slice(0, count - validCount),
    valid: samples.slice(count - validCount),
    digest: `test dataset of ${count}`,
  };
}

/** A JPEG, PNG or lossless WebP file whose head says that the image is of another size. */
export function claimSize(file: Uint8Array, width: number, height: number): Buffer {
  const bytes = Buffer.from(file);
  if (bytes.readUInt16BE(0) === 0xffd8) {
    // Baseline's start of frame: marker, length, precision, height, width.
    const frame = bytes.indexOf(Buffer.of(0xff, 0xc0));
    bytes.writeUInt16BE(height, frame + 5);
    bytes.writeUInt16BE(width, frame + 7);
  } else if (bytes.toString('latin1', 1, 4) === 'PNG') {
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(height, 20);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  } else {
    // VP8L: 14 bits each of width − 1 and height − 1, after the signature.
    const at = bytes.indexOf('VP8L') + 9;
    bytes.writeUInt32LE(
      ((bytes.readUInt32LE(at) & 0xf000_0000) | ((height - 1) << 14) | (width - 1)) >>> 0,
      at,
    );
  }
  return bytes;
}
