import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listImageFiles } from '../../../coordinator/dataset/image-files.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const options = { signal: new AbortController().signal, onFound: () => {} };

describe('listImageFiles', () => {
  it('lists images of any case, sorted by bytes, and nothing hidden or else', async () => {
    const root = await makeFolder();
    const images = [
      'B/1.JPG',
      'a b/ü.jpeg',
      'a/2.PnG',
      'a/sub/3.webp',
      'a-/4.jpg',
      '5.jpg',
      'a/6.gif',
      'a/7.TIF',
      'a/8.jfif',
      'a/9.avif',
    ];
    const noImages = ['.hidden/1.jpg', 'a/.2.jpg', 'a/notes.txt', 'a/jpg', 'a/6.bmp', 'a/7.jpg.part'];
    await writeFiles(root, Object.fromEntries([...images, ...noImages].map((name) => [name, name])));
    await mkdir(path.join(root, 'folder.jpg'));
    const { files, broken, others } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual([
      '5.jpg',
      'B/1.JPG',
      'a b/ü.jpeg',
      'a-/4.jpg',
      'a/2.PnG',
      'a/6.gif',
      'a/7.TIF',
      'a/8.jfif',
      'a/9.avif',
      'a/sub/3.webp',
    ]);
    expect(files.map((file) => file.size)).toEqual(files.map((file) => Buffer.byteLength(file.path)));
    expect(broken).toEqual([]);
    expect(others).toEqual(['a/6.bmp', 'a/7.jpg.part', 'a/jpg', 'a/notes.txt']);
  });

  it('follows links out of the folder and within it, without loops or doubles', async () => {
    const outside = await makeFolder();
    const root = await makeFolder();
    await writeFiles(outside, { 'pool/1.jpg': 'one', 'file.jpg': 'file' });
    await writeFiles(root, { 'z/2.jpg': 'two', 'y/3.jpg': 'three' });
    await symlink(path.join(outside, 'pool'), path.join(root, 'a'));
    await symlink(path.join(outside, 'file.jpg'), path.join(root, 'y/linked.jpg'));
    await symlink(path.join(outside, 'file.jpg'), path.join(root, 'y/again.jpg'));
    await symlink(path.join(root, 'z'), path.join(root, 'b'));
    await symlink(root, path.join(root, 'z/up'));
    await symlink(path.join(root, 'nothing'), path.join(root, 'y/dangling.jpg'));
    await symlink(path.join(root, 'y/dangling2.jpg'), path.join(root, 'y/dangling2.jpg'));
    const { files, broken, doubles } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'y/3.jpg', 'y/again.jpg', 'z/2.jpg']);
    expect(doubles).toEqual(['b', 'y/linked.jpg', 'z/up']);
    expect(broken.map((file) => file.path)).toEqual(['y/dangling.jpg', 'y/dangling2.jpg']);
  });

  it('lists nothing twice when a link leads to a folder around it', async () => {
    const around = await makeFolder();
    const root = path.join(around, 'root');
    await writeFiles(root, { 'a/1.jpg': 'one' });
    await writeFiles(around, { 'beside/2.jpg': 'two' });
    await symlink(path.join(around, 'beside/2.jpg'), path.join(root, 'a/linked.jpg'));
    await symlink(around, path.join(root, 'b'));
    const { files } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'a/linked.jpg']);
  });

  it('lists what a link leads to that has no place of its own: hidden files, and those of other endings', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/1.jpg': 'one', 'a/.2.jpg': 'two', 'a/3.dat': 'three' });
    const links = { 'b/1.jpg': '1.jpg', 'b/2.jpg': '.2.jpg', 'b/3.jpg': '3.dat', 'c/2.jpg': '.2.jpg' };
    for (const [name, target] of Object.entries(links)) {
      await mkdir(path.dirname(path.join(root, name)), { recursive: true });
      await symlink(path.join(root, 'a', target), path.join(root, name));
    }
    const { files, doubles } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'b/2.jpg', 'b/3.jpg']);
    expect(doubles).toEqual(['b/1.jpg', 'c/2.jpg']);
  });

  it('knows a file by one of its names, whichever kind of link the others are', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/1.jpg': 'one', 'b/2.jpg': 'two', 'b/3.jpg': 'one' });
    await link(path.join(root, 'a/1.jpg'), path.join(root, 'b/1.jpg'));
    await symlink(path.join(root, 'b/1.jpg'), path.join(root, 'b/0.jpg'));
    const { files, doubles } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'b/2.jpg', 'b/3.jpg']);
    expect(doubles).toEqual(['b/1.jpg', 'b/0.jpg']);
  });

  it('names the folders that hold no image, but none inside them', async () => {
    const root = await makeFolder();
    await writeFiles(root, {
      'a/deep/1.jpg': 'one',
      'a/other/notes.txt': 'x',
      'c/2.bmp': 'two',
      'd/.3.jpg': '',
    });
    await mkdir(path.join(root, 'e/f/g'), { recursive: true });
    await symlink(path.join(root, 'a/deep/1.jpg'), path.join(root, 'd/1.jpg'));
    const { emptyFolders } = await listImageFiles(root, options);
    expect(emptyFolders).toEqual(['a/other', 'c', 'e']);
  });

  it('lists one folder alone, with paths from the root, and follows its links out of it', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'pool/1.jpg': 'one', 'train/a/2.jpg': 'two', '3.jpg': 'three' });
    await symlink('../../pool/1.jpg', path.join(root, 'train/a/1.jpg'));
    const { files, doubles } = await listImageFiles(root, { ...options, within: 'train' });
    expect(files.map((file) => file.path)).toEqual(['train/a/1.jpg', 'train/a/2.jpg']);
    expect(doubles).toEqual([]);
  });

  it('leaves out names that are not UTF-8, each of them, and lists all others', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/1.jpg': 'one', 'a/r\ufffd.jpg': 'a name like any other' });
    const bytes = (name: string) => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')]);
    await writeFile(bytes('a/caf\xe9.jpg'), 'latin');
    await mkdir(bytes('\xe9t\xe9/deep'), { recursive: true });
    for (const name of ['1.jpg', 'deep/2.png', 'deep/notes.txt'])
      await writeFile(bytes(`\xe9t\xe9/${name}`), name);
    const { files, broken } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'a/r\ufffd.jpg']);
    const reason = 'has a name that is not UTF-8';
    expect(broken).toEqual([
      { path: String.raw`\xE9t\xE9/1.jpg`, reason },
      { path: String.raw`\xE9t\xE9/deep/2.png`, reason },
      { path: String.raw`a/caf\xE9.jpg`, reason },
    ]);
  });

  it('goes on without what is no file, or vanished meanwhile', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/1.jpg': 'one', 'b/2.jpg': 'two' });
    execFileSync('mkfifo', [path.join(root, 'a/pipe.jpg')]);
    await symlink('pipe.jpg', path.join(root, 'a/link.jpg'));
    const { files, broken } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'b/2.jpg']);
    expect(broken).toEqual([
      { path: 'a/pipe.jpg', reason: 'is no regular file' },
      { path: 'a/link.jpg', reason: 'is no regular file' },
    ]);
  });

  it('says which folders it cannot list; the root has to be one that it can', async () => {
    const root = await makeFolder();
    await writeFiles(root, { 'a/1.jpg': 'one', 'b/2.jpg': 'two' });
    await chmod(path.join(root, 'b'), 0);
    const isReadable = await readdir(path.join(root, 'b')).catch(() => null);
    // Root may read everything.
    if (isReadable === null) {
      const { files, unlisted } = await listImageFiles(root, options);
      expect(files.map((file) => file.path)).toEqual(['a/1.jpg']);
      expect(unlisted).toEqual([{ path: 'b', reason: 'cannot be listed: EACCES: permission denied' }]);
    }
    await chmod(path.join(root, 'b'), 0o755);
    await expect(listImageFiles(root, { ...options, within: 'c' })).rejects.toThrow(/ENOENT/);
  });
});
