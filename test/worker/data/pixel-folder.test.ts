import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  cachedImage,
  imageBytes,
  onlyImage,
  openCache,
  pixelFilesIn,
  readCached,
} from '../../support/cached-images.js';
import { makeFolder } from '../../support/images.js';

describe('the folder', () => {
  it('and its files are for their owner alone, whatever the umask and though they were open before', async () => {
    const folder = path.join(await makeFolder(), 'new', 'cache');
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    await (await openCache(folder)).cache.close();
    const modes = async () => {
      const [file] = await pixelFilesIn(folder);
      const places = [folder, path.join(folder, 'pixels'), path.join(folder, 'pixels', file!)];
      return Promise.all(places.map(async (place) => ((await stat(place)).mode & 0o777).toString(8)));
    };
    expect(await modes()).toEqual(['700', '700', '600']);
    await chmod(path.join(folder, 'pixels'), 0o777);
    await chmod(path.join(folder, 'pixels', (await pixelFilesIn(folder))[0]!), 0o666);
    await (await openCache(folder)).cache.close();
    expect(await modes()).toEqual(['700', '700', '600']);
  });

  it.each(['folder', 'file'])('is not used where a link stands for its %s', async (what) => {
    const [folder, elsewhere] = [await makeFolder(), await makeFolder()];
    if (what === 'folder') await symlink(elsewhere, path.join(folder, 'pixels'));
    else {
      await (await openCache(folder)).cache.close();
      const file = path.join(folder, 'pixels', (await pixelFilesIn(folder))[0]!);
      await rename(file, path.join(elsewhere, 'victim'));
      await symlink(path.join(elsewhere, 'victim'), file);
    }
    const before = await readdir(elsewhere);
    const { cache, warnings } = await openCache(folder, 1);
    await cache.keep('train', 0, cachedImage(0));
    await cache.keep('train', 1, cachedImage(1));
    expect(await readCached(cache, 'train', 0)).toEqual([...cachedImage(0)]);
    expect(await readCached(cache, 'train', 1)).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(await readdir(elsewhere)).toEqual(before);
  });

  it('is not used where it belongs to another user', async () => {
    const folder = await makeFolder();
    await (await openCache(folder)).cache.close();
    const { geteuid } = process;
    const { uid } = await stat(folder);
    process.geteuid = () => uid + 1;
    onTestFinished(() => void Object.assign(process, { geteuid }));
    const { warnings } = await openCache(folder);
    expect(warnings).toEqual([expect.stringMatching(/belongs to another user; .*RONDO_CACHE/)]);
  });

  it('that cannot be made is done without, and that is said once', async () => {
    const folder = await makeFolder();
    await writeFile(path.join(folder, 'file'), '');
    const { cache, warnings } = await openCache(path.join(folder, 'file', 'below'), 1);
    await cache.keep('train', 0, cachedImage(0));
    await cache.keep('train', 1, cachedImage(1));
    expect(await readCached(cache, 'train', 0)).toEqual([...cachedImage(0)]);
    expect(await readCached(cache, 'train', 1)).toBeNull();
    expect(warnings).toHaveLength(1);
    await cache.close();
    await cache.close();
  });
});

describe('the bound', () => {
  /** Of one image, on disk. */
  const recordBytes = Math.ceil((16 + imageBytes) / 16) * 16;

  it('removes the files used longest ago, and no others', async () => {
    const folder = await makeFolder();
    const file = async (content: string) => {
      const before = new Set(await pixelFilesIn(folder).catch(() => []));
      const opened = await openCache(folder, 0, { ...onlyImage(content), diskBytes: 3 * recordBytes });
      await opened.cache.keep('train', 0, cachedImage(1));
      await opened.cache.close();
      return (await pixelFilesIn(folder)).find((name) => !before.has(name));
    };
    const [a, b, c] = [await file('a'), await file('b'), await file('c')];
    for (const [i, name] of [a, b, c].entries())
      await utimes(path.join(folder, 'pixels', name!), 100 + i, 100 + i);
    // Used once more: b is the oldest now.
    expect(await file('a')).toBeUndefined();
    const d = await file('d');
    expect(await pixelFilesIn(folder)).toEqual([a, c, d].sort());
    const sizes = await Promise.all(
      (await pixelFilesIn(folder)).map(async (name) => (await lstat(path.join(folder, 'pixels', name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(3 * recordBytes);
  });

  it('holds while many open at once, and one of them keeps its file', async () => {
    const folder = await makeFolder();
    const opened = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map((content) =>
        openCache(folder, 0, { ...onlyImage(content), diskBytes: 2 * recordBytes }),
      ),
    );
    for (const { cache } of opened) {
      await cache.keep('train', 0, cachedImage(1));
      // Also from a file that is gone for others.
      expect(await readCached(cache, 'train', 0)).toEqual([...cachedImage(1)]);
    }
    const left = await pixelFilesIn(folder);
    expect(left.length).toBeGreaterThanOrEqual(1);
    expect(left.length).toBeLessThanOrEqual(2);
  });

  it('keeps as many images of a larger data set as there is room for, and says so', async () => {
    const folder = await makeFolder();
    const { cache, warnings } = await openCache(folder, 0, { diskBytes: 2.5 * recordBytes });
    for (const id of [0, 1, 2]) await cache.keep('train', id, cachedImage(id));
    await cache.keep('valid', 0, cachedImage(3));
    const held = [];
    for (const id of [0, 1, 2]) held.push(await readCached(cache, 'train', id));
    held.push(await readCached(cache, 'valid', 0));
    expect(held.filter((pixels) => pixels !== null)).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('room for 62 % of the decoded images')]);
    const [file] = await pixelFilesIn(folder);
    expect((await stat(path.join(folder, 'pixels', file!))).size).toBeLessThanOrEqual(2.5 * recordBytes);
  });
});

describe('files of earlier versions', () => {
  it('are removed, where those versions had them, and nothing else is', async () => {
    const folder = await makeFolder();
    const temporary = await makeFolder();
    vi.stubEnv('TMPDIR', temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(tmpdir()).toBe(temporary);
    const old = 'pixels-256-0123456789abcdef.bin';
    const previous = `v3-256-${'0'.repeat(32)}.pixels`;
    for (const place of [folder, path.join(folder, 'pixels'), path.join(temporary, 'rondo-pixels')]) {
      await mkdir(place, { recursive: true });
      for (const name of [old, previous]) await writeFile(path.join(place, name), 'old');
    }
    await writeFile(path.join(folder, 'pixels', 'mine.bin'), 'keep');
    await writeFile(path.join(folder, 'pixels-of-mine.bin'), 'keep');
    await (await openCache(folder)).cache.close();
    expect((await readdir(folder)).sort()).toEqual(['pixels', 'pixels-of-mine.bin']);
    expect(await pixelFilesIn(folder)).toEqual([
      'mine.bin',
      expect.stringMatching(/^v5-8-[0-9a-f]{32}\.pixels$/),
    ]);
    expect(await readdir(temporary)).toEqual([]);
  });
});

it('`worker join --help` names the folder, and how to move and bound it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['dist/worker/main.js', 'join', '--help'], {
    env: { ...process.env, RONDO_CACHE: '/somewhere' },
  });
  const text = stdout.replace(/\s+/g, ' ');
  expect(text).toMatch(/--cache-dir <DIR> .*pixels.*\(default: "\/somewhere"\)/);
  expect(text).toMatch(/--cache-gib <N> .*RONDO_CACHE_GIB, else 20/);
});
