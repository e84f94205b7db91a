import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listImageFiles } from '../../../coordinator/dataset/image-files.js';
import { makeFolder, writeFiles } from '../../support/images.js';

const options = { signal: new AbortController().signal, onFound: () => {} };

describe('listImageFiles', () => {
  it('lists images of any case, sorted by bytes, and nothing hidden or else', async () => {
    const root = await makeFolder();
    const images = ['B/1.JPG', 'a b/ü.jpeg', 'a/2.PnG', 'a/sub/3.webp', 'a-/4.jpg', '5.jpg'];
    const others = ['.hidden/1.jpg', 'a/.2.jpg', 'a/notes.txt', 'a/jpg', 'a/6.gif', 'a/7.jpg.part'];
    await writeFiles(root, Object.fromEntries([...images, ...others].map((name) => [name, name])));
    await mkdir(path.join(root, 'folder.jpg'));
    const { files, broken } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual([
      '5.jpg',
      'B/1.JPG',
      'a b/ü.jpeg',
      'a-/4.jpg',
      'a/2.PnG',
      'a/sub/3.webp',
    ]);
    expect(files.map((file) => file.size)).toEqual(files.map((file) => Buffer.byteLength(file.path)));
    expect(broken).toEqual([]);
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
    const { files, broken } = await listImageFiles(root, options);
    expect(files.map((file) => file.path)).toEqual(['a/1.jpg', 'y/3.jpg', 'y/again.jpg', 'z/2.jpg']);
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
});
