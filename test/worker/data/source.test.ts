import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFolderSource } from '../../../worker/data/source.js';
import { makeFolder, writeFiles } from '../../support/images.js';

function dataset(root: string, ...paths: string[]) {
  return {
    root,
    classes: ['a'],
    train: paths.map((name) => ({ path: name, label: 0, width: 8, height: 8, digest: '' })),
    valid: [],
    digest: '',
  };
}

describe('openFolderSource', () => {
  it('reads the file of a sample', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/..x.jpg': 'one', 'b/2.jpg': 'two' });
    const source = openFolderSource(dataset(root, 'a/..x.jpg', 'b/2.jpg'));
    expect(Buffer.from(await source.read('train', 0)).toString()).toBe('one');
    expect(Buffer.from(await source.read('train', 1)).toString()).toBe('two');
  });

  it('reads the images to validate on from a folder of their own', async () => {
    const [root, validRoot] = [await makeFolder(), await makeFolder()];
    await writeFiles(root, { 'a/1.jpg': 'train' });
    await writeFiles(validRoot, { 'a/1.jpg': 'valid', 'b/2.jpg': 'more' });
    const { train } = dataset(root, 'a/1.jpg');
    const valid = dataset(root, 'a/1.jpg', '../2.jpg').train;
    const source = openFolderSource({ ...dataset(root), train, valid, validRoot });
    expect(Buffer.from(await source.read('train', 0)).toString()).toBe('train');
    expect(Buffer.from(await source.read('valid', 0)).toString()).toBe('valid');
    await expect(source.read('valid', 1)).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it.each(['../secret.jpg', 'a/../../secret.jpg', '/etc/hostname', '', '.', '..'])(
    'refuses a path that leaves the root: "%s"',
    async (name) => {
      const root = path.join(await makeFolder(), 'root');
      await writeFiles(root, { 'a.jpg': 'a' });
      await writeFile(path.join(root, '../secret.jpg'), 'secret');
      await expect(openFolderSource(dataset(root, name)).read('train', 0)).rejects.toMatchObject({
        code: 'permission-denied',
      });
    },
  );

  it('names a file that is gone, and an id that does not exist', async () => {
    const root = await makeFolder();
    const source = openFolderSource(dataset(root, 'gone.jpg'));
    await expect(source.read('train', 0)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(path.join(root, 'gone.jpg')),
      remedy: expect.any(String),
    });
    await expect(source.read('valid', 0)).rejects.toMatchObject({ code: 'invalid-argument' });
  });
});
