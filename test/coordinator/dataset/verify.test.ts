import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { verifyImages } from '../../../coordinator/dataset/verify.js';
import { gradientImage, makeFolder, writeFiles } from '../../support/images.js';

/** A picture with detail in every block, so that its data are evenly spread over the file. */
function noiseImage(): Sharp {
  const pixels = Buffer.from(Uint8Array.from({ length: 240 * 240 * 3 }, (_, i) => (i * i * 7919) % 251));
  return sharp(pixels, { raw: { width: 240, height: 240, channels: 3 } });
}

/** The least that makes a TIFF of 32-bit floats, all zero; sharp writes none. */
function floatTiff(width: number, height: number): Buffer {
  const bytes = 4 * width * height;
  const tags = [
    ...[
      [256, width],
      [257, height],
      [258, 32],
      [259, 1],
      [262, 1],
      [273, 8],
      [277, 1],
      [278, height],
      [279, bytes],
    ],
    [339, 3],
  ] as const;
  const file = Buffer.alloc(8 + bytes + 2 + 12 * tags.length + 4);
  file.write('II*\0', 'latin1');
  file.writeUInt32LE(8 + bytes, 4);
  file.writeUInt16LE(tags.length, 8 + bytes);
  for (const [index, [tag, value]] of tags.entries()) {
    const at = 8 + bytes + 2 + 12 * index;
    file.writeUInt16LE(tag, at);
    file.writeUInt16LE(4, at + 2);
    file.writeUInt32LE(1, at + 4);
    file.writeUInt32LE(value, at + 8);
  }
  return file;
}

async function verify(files: Record<string, Uint8Array>, read?: (file: string) => Promise<Buffer>) {
  const root = await makeFolder();
  await writeFiles(root, files);
  const listed = await Promise.all(
    Object.keys(files).map(async (name) => {
      const { size } = await stat(path.join(root, name));
      return { path: name, size, stamp: String(size), settled: true };
    }),
  );
  const again = async (reader = read) => {
    const findings = await verifyImages(root, listed, {
      cacheDir: path.join(root, '.cache'),
      signal: new AbortController().signal,
      onProgress: () => {},
      ...(reader === undefined ? {} : { read: reader }),
    });
    const told = [...findings].map(([file, finding]) => [
      file.path,
      finding.usable ? finding.width / finding.height : finding.reason,
    ]);
    return Object.fromEntries(told) as Record<string, number | string>;
  };
  return { findings: await again(), again };
}

/** `bytes` with others in place from `share` of its length on. */
function overwrite(bytes: Buffer, share: number, others: Buffer): Buffer {
  const at = Math.floor(bytes.length * share);
  return Buffer.concat([bytes.subarray(0, at), others, bytes.subarray(at + others.length)]);
}

/** As PIL: what of the file is read, what is damaged, and what is merely odd. */
describe('what is usable', () => {
  it('reads every kind of which the decoder is safe, whatever its ending', async () => {
    const image = gradientImage(120, 60);
    const { findings } = await verify({
      'a.gif': await image.clone().gif().toBuffer(),
      'gif.jpg': await image.clone().gif().toBuffer(),
      'b.tif': await image.clone().tiff({ compression: 'lzw' }).toBuffer(),
      'c.avif': await image.clone().avif().toBuffer(),
      'd.jfif': await image.clone().jpeg().toBuffer(),
      'e.png': await image.clone().toColourspace('rgb16').png().toBuffer(),
    });
    expect(new Set(Object.values(findings))).toEqual(new Set([2]));
    expect(Object.keys(findings)).toHaveLength(6);
  });

  it('refuses samples of which nobody knows what is white', async () => {
    const { findings } = await verify({ 'f.tif': floatTiff(16, 16) });
    expect(findings['f.tif']).toBe('cannot be decoded: its samples are of type float, not 8 or 16 bits');
  });

  it('refuses JPEGs of which a part is missing, though their decoder returns grey for it', async () => {
    const good = await noiseImage().jpeg({ quality: 90 }).toBuffer();
    const marker = Buffer.from([0xff, 0xc4]);
    const garbage = Buffer.concat([Buffer.alloc(300, 0x5a), marker, Buffer.alloc(300, 0x5a)]);
    const { findings } = await verify({
      'good.jpg': good,
      'middle.jpg': overwrite(good, 0.5, garbage),
      'ones.jpg': overwrite(good, 0.4, Buffer.alloc(64, 0xff)),
      'early-end.jpg': overwrite(good, 0.3, Buffer.from([0xff, 0xd9])),
      'grey.jpg': overwrite(await noiseImage().grayscale().jpeg().toBuffer(), 0.5, garbage),
      'inks.jpg': overwrite(await noiseImage().toColourspace('cmyk').jpeg().toBuffer(), 0.5, garbage),
    });
    const { 'good.jpg': whole, ...damaged } = findings;
    expect(whole).toBe(1);
    for (const reason of Object.values(damaged)) {
      expect(reason).toMatch(/^is truncated or damaged: \d+ % of the picture is missing$/);
    }
    expect(Object.keys(damaged)).toHaveLength(5);
    expect(findings['early-end.jpg']).toMatch(/: [67]\d %/);
  });

  it('accepts JPEGs that are merely odd', async () => {
    const good = await noiseImage().jpeg({ quality: 90 }).toBuffer();
    const insert = (at: number, bytes: Buffer) =>
      Buffer.concat([good.subarray(0, at), bytes, good.subarray(at)]);
    const stray = Buffer.alloc(40, 0x41);
    const { findings } = await verify({
      'between-segments.jpg': insert(20, Buffer.alloc(3)),
      'before-the-end.jpg': insert(good.length - 2, stray),
      'behind-the-end.jpg': insert(good.length, stray),
      'flat-foot.jpg': await gradientImage(64, 64)
        .extend({ bottom: 64, background: '#808080' })
        .jpeg()
        .toBuffer(),
    });
    expect(findings).toEqual({
      'between-segments.jpg': 1,
      'before-the-end.jpg': 1,
      'behind-the-end.jpg': 1,
      'flat-foot.jpg': 0.5,
    });
  });

  it('names what a file holds instead of an image', async () => {
    const { findings } = await verify({
      'page.jpg': Buffer.from('<!DOCTYPE html><title>404</title>'),
      'pointer.png': Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n'),
      'paper.webp': Buffer.from('%PDF-1.7'),
      'photo.jpg': Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'),
      'film.gif': Buffer.from('\0\0\0\x18ftypisom\0\0\x02\0isomiso2'),
      'packed.tif': Buffer.from('PK\x03\x04\x14\0'),
    });
    expect(findings).toEqual({
      'page.jpg': 'holds HTML data, which is not read',
      'pointer.png': 'holds Git LFS pointer data, which is not read',
      'paper.webp': 'holds PDF data, which is not read',
      'photo.jpg': 'holds HEIC data, which is not read',
      'film.gif': 'holds video data, which is not read',
      'packed.tif': 'holds zip archive data, which is not read',
    });
  });

  it('refuses damage in the other formats', async () => {
    const image = noiseImage();
    const kinds = {
      'a.png': await image.clone().png().toBuffer(),
      'b.webp': await image.clone().webp({ lossless: true }).toBuffer(),
      'c.gif': await image.clone().gif().toBuffer(),
      'd.tif': await image.clone().tiff({ compression: 'deflate' }).toBuffer(),
      'e.avif': await image.clone().avif().toBuffer(),
    };
    const halves = Object.entries(kinds).map(([name, bytes]) => [name, bytes.subarray(0, bytes.length / 2)]);
    const { findings } = await verify(Object.fromEntries(halves));
    for (const name of Object.keys(kinds)) expect(findings[name]).toEqual(expect.any(String));
  });

  it('gives each of many at a time the reason of its own', async () => {
    const [jpeg, png] = await Promise.all([noiseImage().jpeg().toBuffer(), noiseImage().png().toBuffer()]);
    const kinds = [jpeg.subarray(0, 3000), png.subarray(0, 9000), Buffer.from('hello')];
    const alone: unknown[] = [];
    for (const bytes of kinds) alone.push((await verify({ 'one.jpg': bytes })).findings['one.jpg']);
    expect(new Set(alone).size).toBe(3);
    const files = Array.from({ length: 120 }, (_, index) => [`${index}.jpg`, kinds[index % 3]!] as const);
    const { findings } = await verify(Object.fromEntries(files));
    for (const [index, [name]] of files.entries()) expect(findings[name]).toBe(alone[index % 3]);
  });
});

describe('a file that cannot be read', () => {
  const fail = (code: string) => Object.assign(new Error(`${code}: it failed, read`), { code });

  it('is tried again after a fault that passes', async () => {
    const good = await noiseImage().jpeg().toBuffer();
    let failures = 2;
    const { findings } = await verify({ 'a.jpg': good }, async () => {
      failures -= 1;
      if (failures >= 0) throw fail('EIO');
      return good;
    });
    expect(findings).toEqual({ 'a.jpg': 1 });
  });

  it('is left out this time, and looked at again the next', async () => {
    const good = await noiseImage().jpeg().toBuffer();
    for (const [code, reason] of [
      ['EIO', 'cannot be read: EIO: it failed'],
      ['EACCES', 'cannot be read: EACCES: it failed'],
      ['ENOENT', 'vanished after it was listed'],
    ] as const) {
      const { findings, again } = await verify({ 'a.jpg': good, 'b.jpg': good }, (file) =>
        file.endsWith('a.jpg') ? Promise.reject(fail(code)) : readFile(file),
      );
      expect(findings).toEqual({ 'a.jpg': reason, 'b.jpg': 1 });
      const read: string[] = [];
      const found = await again((file) => {
        read.push(path.basename(file));
        return readFile(file);
      });
      expect(found).toEqual({ 'a.jpg': 1, 'b.jpg': 1 });
      expect(read).toEqual(['a.jpg']);
    }
  });

  it('is not confused with one that cannot be decoded, which is remembered', async () => {
    const { findings, again } = await verify({ 'a.jpg': Buffer.from('no image') });
    expect(findings['a.jpg']).toMatch(/^cannot be decoded/);
    expect(await again(() => Promise.reject(fail('EIO')))).toEqual(findings);
  });
});
