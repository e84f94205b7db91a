import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../../worker/data/source.js';
import { makeFolder, sha256, writeFiles } from '../../support/images.js';

/** What the files hold that are read. */
const contents: Readonly<Record<string, string>> = { 'a/..x.jpg': 'one', 'b/2.jpg': 'two', 'a.jpg': 'one' };

function dataset(root: string, ...paths: string[]) {
  const digest = (name: string) => sha256(Buffer.from(contents[name] ?? ''));
  return {
    root,
    classes: ['a'],
    train: paths.map((name) => ({ path: name, label: 0, width: 8, height: 8, digest: digest(name) })),
    valid: [],
    digest: '',
  };
}

describe('openSource', () => {
  it('reads the file of a sample', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/..x.jpg': 'one', 'b/2.jpg': 'two' });
    const source = openSource(dataset(root, 'a/..x.jpg', 'b/2.jpg'));
    expect(Buffer.from(await source.read('train', 0)).toString()).toBe('one');
    expect(Buffer.from(await source.read('train', 1)).toString()).toBe('two');
  });

  it('reads the images to validate on from a folder of their own', async () => {
    const [root, validRoot] = [await makeFolder(), await makeFolder()];
    await writeFiles(root, { 'a.jpg': 'one' });
    await writeFiles(validRoot, { 'b/2.jpg': 'two' });
    const { train } = dataset(root, 'a.jpg');
    const valid = dataset(root, 'b/2.jpg', '../2.jpg').train;
    const source = openSource({ ...dataset(root), train, valid, validRoot });
    expect(Buffer.from(await source.read('train', 0)).toString()).toBe('one');
    expect(Buffer.from(await source.read('valid', 0)).toString()).toBe('two');
    await expect(source.read('valid', 1)).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it.each(['../secret.jpg', 'a/../../secret.jpg', '/etc/hostname', '', '.', '..'])(
    'refuses a path that leaves the root: "%s"',
    async (name) => {
      const root = path.join(await makeFolder(), 'root');
      await writeFiles(root, { 'a.jpg': 'a' });
      await writeFile(path.join(root, '../secret.jpg'), 'secret');
      await expect(openSource(dataset(root, name)).read('train', 0)).rejects.toMatchObject({
        code: 'permission-denied',
      });
    },
  );

  it('refuses an id that does not exist', async () => {
    const source = openSource(dataset(await makeFolder(), 'a.jpg'));
    await expect(source.read('valid', 0)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});

describe('a file that cannot be read', () => {
  /** A source whose file system fails with these errors, one after the other, and then reads. */
  async function failing(codes: readonly string[], waitsMs = [1, 1, 1]) {
    const root = await makeFolder();
    await writeFiles(root, { 'a.jpg': 'one' });
    const [reads, warnings]: string[][] = [[], []];
    const source = openSource(dataset(root, 'a.jpg'), {
      waitsMs,
      warn: (message) => warnings!.push(message),
      read: (file) => {
        const code = codes[reads!.length];
        reads!.push(file);
        return code === undefined ? readFile(file) : Promise.reject(systemError(code));
      },
    });
    return { file: path.join(root, 'a.jpg'), source, reads: reads!, warnings: warnings! };
  }

  function systemError(code: string): Error {
    return Object.assign(new Error(`${code}: as the system says it, open`), { code });
  }

  it.each(['EIO', 'ESTALE', 'ETIMEDOUT', 'EMFILE', 'ENOTCONN'])(
    'for a moment is waited for: %s',
    async (code) => {
      const { source, reads, warnings } = await failing([code, code, code]);
      expect(Buffer.from(await source.read('train', 0)).toString()).toBe('one');
      expect(reads).toHaveLength(4);
      expect(warnings).toEqual([]);
    },
  );

  it('for longer than a moment is spoken of', async () => {
    const { source, warnings, file } = await failing(['EIO', 'EIO'], [1, 1_000]);
    expect(Buffer.from(await source.read('train', 0)).toString()).toBe('one');
    expect(warnings).toEqual([
      `cannot read image ${file}: EIO: as the system says it, open; trying again in 1 s`,
    ]);
  });

  it.each([
    ['ENOENT', 'not-found', /is gone/, /put the file back as it was, and resume/],
    ['ENOTDIR', 'not-found', /is gone/, /put the file back as it was, and resume/],
    ['EACCES', 'permission-denied', /may not be read any more: EACCES/, /make the file readable .* resume/],
    ['EPERM', 'permission-denied', /may not be read any more: EPERM/, /make the file readable .* resume/],
  ])('is an error at once, with its remedy: %s', async (fault, code, message, remedy) => {
    const { source, reads, file } = await failing([fault]);
    const error = await source.read('train', 0).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'RondoError', code });
    expect(error).toMatchObject({
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    });
    expect(error).toMatchObject({ message: expect.stringContaining(file) });
    expect(reads).toHaveLength(1);
  });

  it('however often it is tried is an error in the end: a real EIO', async () => {
    const root = await makeFolder();
    // Nothing is mapped at address 0.
    await symlink('/proc/self/mem', path.join(root, 'a.jpg'));
    const source = openSource(dataset(root, 'a.jpg'), { waitsMs: [1, 1] });
    await expect(source.read('train', 0)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/cannot read image .*a\.jpg: EIO/),
      remedy: expect.stringMatching(/disk or the network share .* resume/),
    });
  });

  it('is not waited for when the load ends', async () => {
    const { source } = await failing(['EIO'], [60_000]);
    const stop = new AbortController();
    const read = source.read('train', 0, stop.signal);
    stop.abort();
    await expect(read).rejects.toMatchObject({ name: 'AbortError' });
  });
});
