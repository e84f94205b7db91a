import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { windowedTransforms } from '../../../plan/augmentation.js';
import { createDecodePool } from '../../../runtime/images.js';
import { decodeImage } from '../../../worker/data/decode.js';
import { loadFileBatches, localFile } from '../../../worker/data/file-batches.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';

const never = new AbortController().signal;
const options = { size: 16, presize: 18, batch: 3, depth: 2, signal: never };

describe('loadFileBatches', () => {
  it('gives the images in order, decoded and placed as in validation, and names what is none', async () => {
    const root = await makeFolder();
    const images = await Promise.all([0, 1, 2, 3].map((index) => jpegBytes(index, 40 + 9 * index, 48)));
    await writeFiles(root, {
      '0.jpg': images[0]!,
      '1.jpg': 'no image',
      '2.jpg': images[1]!,
      '4.jpg': images[2]!,
      '5.jpg': images[3]!,
      '6.jpg': images[0]!.subarray(0, 300),
    });
    const files = [0, 1, 2, 3, 4, 5, 6].map((index) => path.join(root, `${index}.jpg`));
    const found: { id: number; pixels: Uint8Array; transform: number[] }[] = [];
    const unreadable: { index: number; reason: string }[] = [];
    let batches = 0;
    for await (const batch of loadFileBatches(files.map(localFile), options)) {
      batches += 1;
      unreadable.push(...batch.unreadable);
      const bytes = batch.pixels.length / batch.ids.length;
      batch.ids.forEach((id, row) => {
        const pixels = batch.pixels.slice(row * bytes, (row + 1) * bytes);
        found.push({ id, pixels, transform: [...batch.transforms.slice(row * 8, (row + 1) * 8)] });
      });
      expect([...batch.lighting]).toEqual(Array.from(batch.ids).flatMap(() => [0, 1]));
      batch.release();
    }
    expect(batches).toBe(3);
    expect(found.map(({ id }) => id)).toEqual([0, 2, 4, 5]);
    expect(unreadable.map(({ index }) => index)).toEqual([1, 3, 6]);
    expect(unreadable[1]!.reason).toBe('there is no such file');
    for (const [position, { pixels, transform }] of found.entries()) {
      const decoded = await decodeImage(images[position]!, 18, createDecodePool());
      const { width, height } = decoded;
      const wanted = windowedTransforms([null], width / height, 18, 16);
      expect(transform).toEqual([...wanted.transforms[0]!]);
      const { start, rows } = wanted.window;
      const whole = decoded.pixels.length / (18 * 3);
      for (let row = Math.max(0, -start); row < rows && row + start < whole; row += 1) {
        const [found, stored] = [pixels, decoded.pixels].map((from, i) =>
          from.subarray((row + i * start) * 54, (row + i * start + 1) * 54),
        );
        expect(Buffer.compare(found!, stored!)).toBe(0);
      }
    }
  });

  it('leaves out a JPEG of which a part is missing, though its decoder returns grey for it', async () => {
    const root = await makeFolder();
    const noise = Buffer.from(Uint8Array.from({ length: 240 * 240 * 3 }, (_, i) => (i * i * 7919) % 251));
    const whole = await sharp(noise, { raw: { width: 240, height: 240, channels: 3 } })
      .jpeg()
      .toBuffer();
    const cut = Buffer.from(whole);
    cut.set([0xff, 0xd9], whole.length >> 1);
    // Odd, and whole.
    const stray = Buffer.concat([whole.subarray(0, -2), Buffer.alloc(40, 0x41), whole.subarray(-2)]);
    await writeFiles(root, { '0.jpg': whole, '1.jpg': cut, '2.jpg': stray });
    const files = ['0.jpg', '1.jpg', '2.jpg'].map((name) => path.join(root, name));
    for await (const { ids, pixels, unreadable, release } of loadFileBatches(files.map(localFile), options)) {
      expect(unreadable).toEqual([
        { index: 1, reason: expect.stringMatching(/^[45]\d % of the picture is missing$/) },
      ]);
      expect([...ids]).toEqual([0, 2]);
      const half = pixels.length / 2;
      expect(Buffer.from(pixels.subarray(0, half)).equals(pixels.subarray(half))).toBe(true);
      release();
    }
  });

  it('gives each of many that are none the reason of its own', async () => {
    const root = await makeFolder();
    const kinds = { cut: (await jpegBytes(0, 240, 240)).subarray(0, 1500), text: 'no image' };
    const names = Array.from(
      { length: 60 },
      (_, index) => `${index}-${index % 2 === 0 ? 'cut' : 'text'}.jpg`,
    );
    const bytesOf = (name: string) => (name.endsWith('cut.jpg') ? kinds.cut : kinds.text);
    await writeFiles(root, Object.fromEntries(names.map((name) => [name, bytesOf(name)])));
    const reasonsOf = async (some: readonly string[], batch: number) => {
      const files = some.map((name) => path.join(root, name));
      const reasons: string[] = [];
      for await (const each of loadFileBatches(files.map(localFile), { ...options, batch, depth: 1 })) {
        reasons.push(...each.unreadable.map(({ reason }) => reason));
        each.release();
      }
      return reasons;
    };
    const alone = await reasonsOf(names.slice(0, 2), 1);
    expect(new Set(alone).size).toBe(2);
    expect(await reasonsOf(names, 60)).toEqual(names.map((_, index) => alone[index % 2]));
  });

  it('ends when the signal comes', async () => {
    const batches = loadFileBatches([localFile('a.jpg')], { ...options, signal: AbortSignal.abort() });
    const first = batches[Symbol.asyncIterator]().next();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
  });
});
