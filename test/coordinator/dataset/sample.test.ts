import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawSample } from '../../../coordinator/dataset/sample.js';
import { composePicture } from '../../../coordinator/dataset/sample-picture.js';
import { sampleShapes } from '../../../coordinator/dataset/sample-shapes.js';
import { withSvg } from '../../../runtime/images.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const signal = new AbortController().signal;

async function digestFolder(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.jpg')).sort();
  const digests = new Map<string, string>();
  for (const name of names) {
    digests.set(
      name,
      createHash('sha256')
        .update(await readFile(path.join(folder, name)))
        .digest('hex'),
    );
  }
  return digests;
}

describe('drawSample', () => {
  it('draws the same bytes each time: ten classes of readable, different JPEG files', async () => {
    const progress: number[] = [];
    const [one, two] = [await makeFolder(), await makeFolder()];
    const draw = (cacheDir: string) =>
      drawSample({ cacheDir, signal, onProgress: (done) => progress.push(done), perClass: 4 });
    const first = await draw(one);
    const digests = await digestFolder(first);
    expect(progress).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(await digestFolder(await draw(two))).toEqual(digests);
    expect(new Set(digests.values()).size).toBe(40);
    expect(await readdir(first)).toEqual(Object.keys(sampleShapes));
    for (const name of digests.keys()) {
      const { format, width, height } = await sharp(await readFile(path.join(first, name))).metadata();
      expect(format).toBe('jpeg');
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(160);
      expect(Math.max(width, height)).toBeLessThanOrEqual(200);
    }
  });

  it('draws once, and leaves nothing else behind', async () => {
    const cacheDir = await makeFolder();
    const draw = () => drawSample({ cacheDir, signal, onProgress: () => {}, perClass: 1 });
    const [folder, same] = await Promise.all([draw(), draw()]);
    expect(same).toBe(folder);
    const before = await stat(folder);
    expect(await draw()).toBe(folder);
    expect((await stat(folder)).ino).toBe(before.ino);
    expect(await readdir(cacheDir)).toEqual([path.basename(folder)]);
  });

  it('leaves nothing behind when it is stopped or cannot write', async () => {
    const cacheDir = await makeFolder();
    const controller = new AbortController();
    const stopped = drawSample({
      cacheDir,
      signal: controller.signal,
      onProgress: (done) => {
        if (done === 3) controller.abort();
      },
      perClass: 2,
    });
    await expect(stopped).rejects.toThrow();
    expect(await readdir(cacheDir)).toEqual([]);
    await writeFiles(cacheDir, { file: '' });
    const blocked = drawSample({ cacheDir: path.join(cacheDir, 'file'), signal, onProgress: () => {} });
    await expect(blocked).rejects.toMatchObject({ name: 'RondoError', remedy: expect.any(String) });
  });

  it('shuts the SVG loader again', async () => {
    await drawSample({ cacheDir: await makeFolder(), signal, onProgress: () => {}, perClass: 1 });
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>';
    await expect(sharp(Buffer.from(svg)).toBuffer()).rejects.toThrow(/unsupported/);
  });
});

describe('composePicture', () => {
  it('shows the shape on every picture, neither tiny nor all over it', async () => {
    const render = (svg: string) =>
      withSvg(() => sharp(Buffer.from(svg)).flatten().greyscale().raw().toBuffer());
    for (const [label, draw] of Object.values(sampleShapes).entries()) {
      for (let index = 0; index < 12; index += 1) {
        const shown = await render(composePicture(label, index, draw).svg);
        const bare = await render(composePicture(label, index, () => '').svg);
        const changed = shown.filter((value, i) => Math.abs(value - bare[i]!) > 20).length;
        expect(changed / shown.length).toBeGreaterThan(0.03);
        expect(changed / shown.length).toBeLessThan(0.6);
      }
    }
  });
});
