import { readdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { gradientImage, sha256, writeFiles } from '../../support/images.js';
import { jpeg, makeImages, openImages, small } from '../../support/small-dataset.js';

/** A folder that was verified once: what was recorded, line by line, and how to record something else. */
async function recordPass() {
  const root = await makeImages(10);
  const cacheDir = path.join(root, '.cache');
  await setTimeout(100);
  await openImages(root);
  const [record] = await readdir(cacheDir);
  const text = await readFile(path.join(cacheDir, record!), 'utf8');
  const write = (content: string) => writeFiles(cacheDir, { [record!]: content });
  return { root, lines: text.trimEnd().split('\n'), write };
}

describe('the verification of a data set', () => {
  it('knows images by their bytes: another folder with the same names and sizes is another data set', async () => {
    const [one, other] = [await makeImages(20), await makeImages(20)];
    const bytes = await readFile(path.join(other, 'b/001.jpg'));
    // In the last byte before the end marker: the size stays, the picture hardly changes.
    bytes[bytes.length - 3]! ^= 1;
    await writeFiles(other, { 'b/001.jpg': bytes });
    const [first, second] = [(await openImages(one)).dataset, (await openImages(other)).dataset];
    expect(second.digest).not.toBe(first.digest);
    const changed = [...second.train, ...second.valid].find((sample) => sample.path === 'b/001.jpg')!;
    expect(changed.digest).toBe(sha256(bytes));
  });

  it.each(['in place', 'by another file'])(
    'notices a file replaced %s by one of the same size and modification time',
    async (how) => {
      const root = await makeImages(10);
      const file = path.join(root, 'b/003.jpg');
      await utimes(file, 1e9, 1e9);
      await setTimeout(100);
      const before = (await openImages(root)).dataset;
      expect((await openImages(root)).dataset.digest).toBe(before.digest);
      const { size } = await stat(file);
      const bytes = await readFile(file);
      bytes[bytes.length - 3]! ^= 1;
      if (how === 'in place') await writeFile(file, bytes);
      else {
        await writeFile(`${file}.new`, bytes);
        await rename(`${file}.new`, file);
      }
      await utimes(file, 1e9, 1e9);
      expect(await stat(file)).toMatchObject({ mtimeMs: 1e12, size });
      const { dataset, progress } = await openImages(root);
      expect(dataset.digest).not.toBe(before.digest);
      expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(9);
    },
  );

  it.each([
    [10, 9],
    [1000, 10],
  ])('reads a file once more that had changed %i ms before it was listed', async (ms, known) => {
    const root = await makeImages(10);
    await setTimeout(100);
    await writeFiles(root, { 'b/003.jpg': small });
    const { ctimeMs } = await stat(path.join(root, 'b/003.jpg'));
    // A change within the same tick of the file system's clock would leave the same stamp.
    const now = vi.spyOn(Date, 'now').mockReturnValue(ctimeMs + ms);
    onTestFinished(() => now.mockRestore());
    await openImages(root);
    expect((await openImages(root)).progress.find(({ phase }) => phase === 'verifying')?.done).toBe(known);
  });

  it('tells the size of every image, upright, at once and from the record', async () => {
    const turned = gradientImage(120, 60).withMetadata({ orientation: 6 });
    const root = await makeImages(10, {
      'a/wide.png': await gradientImage(120, 60).png().toBuffer(),
      'b/turned.jpg': await turned.jpeg().toBuffer(),
    });
    const sizes = async () => {
      const { train, valid } = (await openImages(root)).dataset;
      return Object.fromEntries(
        [...train, ...valid].map(({ path: name, width, height }) => [name, [width, height]]),
      );
    };
    await setTimeout(100);
    const first = await sizes();
    expect(first).toMatchObject({ 'a/000.jpg': [8, 8], 'a/wide.png': [120, 60], 'b/turned.jpg': [60, 120] });
    expect(await sizes()).toEqual(first);
  });

  it('decodes a file once, and again when it changed', async () => {
    const root = await makeImages(10);
    await setTimeout(100);
    await openImages(root);
    const start = async () => (await openImages(root)).progress.find(({ phase }) => phase === 'verifying');
    expect(await start()).toEqual({ phase: 'verifying', done: 10, total: 10 });
    await utimes(path.join(root, 'a/000.jpg'), 1, 1);
    await writeFiles(root, { 'b/001.jpg': jpeg, 'b/new.jpg': jpeg });
    expect(await start()).toEqual({ phase: 'verifying', done: 8, total: 11 });
    await writeFiles(root, { 'b/new.jpg': 'broken' });
    await expect(openImages(root)).rejects.toThrow(/1 of 11 images/);
    await expect(openImages(root)).rejects.toThrow(/1 of 11 images/);
  });

  it('ignores a damaged record of an earlier pass', async () => {
    const { root, lines, write } = await recordPass();
    const withFinding = (finding: unknown) =>
      lines
        .map((line) => `${JSON.stringify([...(JSON.parse(line) as unknown[]).slice(0, -1), finding])}\n`)
        .join('');
    const contents = [
      '{\n',
      '[1, null, ["a/000.jpg", 1]]\n',
      ...[null, { usable: true }, { usable: true, width: 8, height: 8 }, { usable: false }].map(withFinding),
    ];
    for (const content of contents) {
      await write(content);
      const { dataset, progress } = await openImages(root);
      expect(dataset.train).toHaveLength(8);
      expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(0);
    }
  });

  it('takes what is whole of a damaged record', async () => {
    const { root, lines, write } = await recordPass();
    await write([...lines.with(3, '[').slice(0, 9), lines[9]!.slice(1)].join('\n'));
    const { dataset, progress } = await openImages(root);
    expect(dataset.train).toHaveLength(8);
    expect(progress.find(({ phase }) => phase === 'verifying')?.done).toBe(8);
  });

  it('stops when asked to, and keeps what was verified', async () => {
    const root = await makeImages(60);
    await setTimeout(100);
    const controller = new AbortController();
    const stopping = openImages(root, {
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (phase === 'verifying' && done === 20) controller.abort();
      },
    });
    await expect(stopping).rejects.toMatchObject({ code: 'cancelled' });
    const verifying = (await openImages(root)).progress.filter(({ phase }) => phase === 'verifying');
    expect(verifying[0]!.done).toBeGreaterThanOrEqual(20);
    expect(verifying[0]!.done).toBeLessThan(60);
  });

  it('goes on without a cache folder that can be written to', async () => {
    const root = await makeImages(10, { file: '' });
    const { dataset } = await openImages(root, { cacheDir: path.join(root, 'file/cache') });
    expect(dataset.train).toHaveLength(8);
  });
});
