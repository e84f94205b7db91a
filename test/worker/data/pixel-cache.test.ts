import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Dataset, Sample } from '../../../proto/gen/coordinator.js';
import { openPixelCache, type PixelCache, type PixelCacheOptions } from '../../../worker/data/pixel-cache.js';
import type { Split } from '../../../worker/data/source.js';
import { makeFolder, sha256 } from '../../support/images.js';

const presize = 8;
const imageBytes = presize * presize * 3;

/** An image that is known by `content`. */
function sample(content: string, name = content): Sample {
  return { path: name, label: 0, width: 8, height: 8, digest: sha256(Buffer.from(content)) };
}

const dataset: Dataset = {
  root: '/nowhere',
  classes: ['a', 'b'],
  train: ['c', 'a', 'd'].map((content) => sample(content)),
  valid: ['b'].map((content) => sample(content)),
  digest: 'digest',
};

function image(seed: number): Uint8Array {
  return Uint8Array.from({ length: imageBytes }, (_, i) => (i * 31 + seed * 17) % 256);
}

async function open(cacheDir: string, images = 0, changes: Partial<Dataset & PixelCacheOptions> = {}) {
  const warnings: string[] = [];
  const cache = await openPixelCache({
    dataset: { ...dataset, ...changes },
    presize,
    memoryBytes: images * imageBytes,
    cacheDir,
    diskBytes: 2 ** 30,
    warn: (message) => warnings.push(message),
    ...changes,
  });
  onTestFinished(() => cache.close());
  return { cache, warnings };
}

/** The pixels that a cache holds, or null. */
async function readFrom(cache: PixelCache, split: Split, id: number): Promise<number[] | null> {
  let pixels: number[] | null = null;
  const held = await cache.read(split, id, (found) => {
    pixels = [...found];
  });
  expect(held).toBe(pixels !== null);
  return pixels;
}

/** Names of the files that hold pixels. */
async function filesIn(cacheDir: string): Promise<string[]> {
  return (await readdir(path.join(cacheDir, 'pixels'))).sort();
}

/** Names that an image of the given content is kept under. */
const only = (content: string): Partial<Dataset> => ({ train: [sample(content)], valid: [] });

describe.each([
  ['disk', 0, 2 ** 30],
  ['memory and disk', 1, 2 ** 30],
  ['memory', 4, 2 ** 30],
  ['memory alone', 4, 0],
])('openPixelCache, by %s', (_name, images, diskBytes) => {
  it('gives back what was kept, and nothing else', async () => {
    const folder = await makeFolder();
    const { cache, warnings } = await open(folder, images, { diskBytes });
    expect(await readFrom(cache, 'train', 0)).toBeNull();
    for (const id of [0, 1, 2]) await cache.keep('train', id, image(id));
    await cache.keep('valid', 0, image(9));
    for (const id of [2, 0, 1]) expect(await readFrom(cache, 'train', id)).toEqual([...image(id)]);
    expect(await readFrom(cache, 'valid', 0)).toEqual([...image(9)]);
    await cache.close();
    expect(warnings).toEqual([]);
    expect(await readdir(folder)).toEqual(diskBytes === 0 ? [] : ['pixels']);
  });
});

describe('an image', () => {
  it('is known by its bytes: not by name, split or label', async () => {
    const folder = await makeFolder();
    const first = await open(folder);
    const other = await open(folder, 0, {
      root: '/elsewhere',
      train: [sample('a', 'x'), { ...sample('b'), label: 1 }],
      valid: [sample('c'), sample('d')],
      digest: 'other',
    });
    await first.cache.keep('train', 0, image(1));
    expect(await readFrom(other.cache, 'valid', 0)).toEqual([...image(1)]);
    expect(await readFrom(other.cache, 'train', 0)).toBeNull();
  });

  it('is another one in a file of the same name and size with other bytes', async () => {
    const folder = await makeFolder();
    const first = await open(folder);
    await first.cache.keep('train', 0, image(1));
    const other = await open(folder, 0, { train: [sample('other', 'c'), ...dataset.train.slice(1)] });
    expect(await readFrom(other.cache, 'train', 0)).toBeNull();
    // Though the files themselves were exchanged: a record says what it was made from.
    const [one, two] = (await filesIn(folder)).map((name) => path.join(folder, 'pixels', name));
    for (const [from, to] of [
      [one!, two!],
      [two!, one!],
    ] as const) {
      await writeFile(to, await readFile(from));
      const exchanged = await open(folder, 0, { train: [sample('other', 'c'), ...dataset.train.slice(1)] });
      expect(await readFrom(exchanged.cache, 'train', 0)).toBeNull();
    }
  });

  it('is kept once for all files that hold it', async () => {
    const folder = await makeFolder();
    const { cache } = await open(folder, 0, { train: [sample('a', '1'), sample('a', '2')], valid: [] });
    await cache.keep('train', 0, image(3));
    expect(await readFrom(cache, 'train', 1)).toEqual([...image(3)]);
  });

  it('of another presize is another one', async () => {
    const folder = await makeFolder();
    await (await open(folder)).cache.keep('train', 0, image(1));
    const { cache } = await open(folder, 0, { presize: 9 });
    expect(await readFrom(cache, 'train', 0)).toBeNull();
  });
});

describe('damage', () => {
  it('of a record is noticed, each for itself', async () => {
    const folder = await makeFolder();
    const writer = await open(folder);
    for (const id of [0, 1, 2]) await writer.cache.keep('train', id, image(id));
    await writer.cache.keep('valid', 0, image(3));
    await writer.cache.close();
    const file = path.join(folder, 'pixels', (await filesIn(folder))[0]!);
    const whole = await readFile(file);
    for (let at = 0; at < 4; at += 1) {
      const damaged = Buffer.from(whole);
      damaged[Math.floor((whole.length * (at + 0.5)) / 4)]! ^= 1;
      await writeFile(file, damaged);
      const { cache } = await open(folder);
      const held = [];
      for (const id of [0, 1, 2]) held.push(await readFrom(cache, 'train', id));
      held.push(await readFrom(cache, 'valid', 0));
      expect(held.filter((pixels) => pixels === null)).toHaveLength(1);
      held.forEach((pixels, seed) => {
        if (pixels !== null) expect(pixels).toEqual([...image(seed)]);
      });
    }
    await truncate(file, 10);
    const { cache } = await open(folder);
    expect(await readFrom(cache, 'train', 0)).toBeNull();
    await cache.keep('train', 0, image(5));
    expect(await readFrom(cache, 'train', 0)).toEqual([...image(5)]);
  });

  it('by a killed process leaves whole records or none, and no lock', async () => {
    const folder = await makeFolder();
    const side = 256;
    const contents = Array.from({ length: 12 }, (_, i) => `image ${i}`);
    const many = { train: contents.map((content) => sample(content)), valid: [], presize: side };
    const script = `
      const { openPixelCache } = await import(process.argv[1]);
      const options = JSON.parse(process.argv[2]);
      const cache = await openPixelCache({ ...options, warn: (text) => { throw new Error(text); } });
      for (let turn = 0; ; turn += 1) {
        for (let id = 0; id < options.dataset.train.length; id += 1) {
          await cache.keep('train', id, new Uint8Array(${side * side * 3}).fill(id + 1));
        }
        if (turn === 0) process.stdout.write('written');
      }`;
    const module = path.resolve('dist/worker/data/pixel-cache.js');
    const options = {
      dataset: { ...dataset, ...many },
      presize: side,
      memoryBytes: 0,
      cacheDir: folder,
      diskBytes: 2 ** 30,
    };
    const writers = [0, 1].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', script, module, JSON.stringify(options)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    await Promise.all(
      writers.map(async (writer) => {
        await once(writer.stdout, 'data');
        writer.kill('SIGKILL');
        await once(writer, 'exit');
      }),
    );
    const { cache, warnings } = await open(folder, 0, many);
    let held = 0;
    for (const id of contents.keys()) {
      const pixels = await readFrom(cache, 'train', id);
      if (pixels === null) continue;
      held += 1;
      expect(pixels.every((value) => value === id + 1)).toBe(true);
    }
    // At most what each of the two was writing is torn.
    expect(held).toBeGreaterThanOrEqual(contents.length - 2);
    expect(warnings).toEqual([]);
  });
});

describe('the folder', () => {
  it('and its files are for their owner alone, whatever the umask and though they were open before', async () => {
    const folder = path.join(await makeFolder(), 'new', 'cache');
    const before = process.umask(0);
    onTestFinished(() => void process.umask(before));
    await (await open(folder)).cache.close();
    const modes = async () => {
      const [file] = await filesIn(folder);
      const places = [folder, path.join(folder, 'pixels'), path.join(folder, 'pixels', file!)];
      return Promise.all(places.map(async (place) => ((await stat(place)).mode & 0o777).toString(8)));
    };
    expect(await modes()).toEqual(['700', '700', '600']);
    await chmod(path.join(folder, 'pixels'), 0o777);
    await chmod(path.join(folder, 'pixels', (await filesIn(folder))[0]!), 0o666);
    await (await open(folder)).cache.close();
    expect(await modes()).toEqual(['700', '700', '600']);
  });

  it.each(['folder', 'file'])('is not used where a link stands for its %s', async (what) => {
    const [folder, elsewhere] = [await makeFolder(), await makeFolder()];
    if (what === 'folder') await symlink(elsewhere, path.join(folder, 'pixels'));
    else {
      await (await open(folder)).cache.close();
      const file = path.join(folder, 'pixels', (await filesIn(folder))[0]!);
      await rename(file, path.join(elsewhere, 'victim'));
      await symlink(path.join(elsewhere, 'victim'), file);
    }
    const before = await readdir(elsewhere);
    const { cache, warnings } = await open(folder, 1);
    await cache.keep('train', 0, image(0));
    await cache.keep('train', 1, image(1));
    expect(await readFrom(cache, 'train', 0)).toEqual([...image(0)]);
    expect(await readFrom(cache, 'train', 1)).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(await readdir(elsewhere)).toEqual(before);
  });

  it('is not used where it belongs to another user', async () => {
    const folder = await makeFolder();
    await (await open(folder)).cache.close();
    const { geteuid } = process;
    const { uid } = await stat(folder);
    process.geteuid = () => uid + 1;
    onTestFinished(() => void Object.assign(process, { geteuid }));
    const { warnings } = await open(folder);
    expect(warnings).toEqual([expect.stringMatching(/belongs to another user; .*RONDO_CACHE/)]);
  });

  it('that cannot be made is done without, and that is said once', async () => {
    const folder = await makeFolder();
    await writeFile(path.join(folder, 'file'), '');
    const { cache, warnings } = await open(path.join(folder, 'file', 'below'), 1);
    await cache.keep('train', 0, image(0));
    await cache.keep('train', 1, image(1));
    expect(await readFrom(cache, 'train', 0)).toEqual([...image(0)]);
    expect(await readFrom(cache, 'train', 1)).toBeNull();
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
      const before = new Set(await filesIn(folder).catch(() => []));
      const opened = await open(folder, 0, { ...only(content), diskBytes: 3 * recordBytes });
      await opened.cache.keep('train', 0, image(1));
      await opened.cache.close();
      return (await filesIn(folder)).find((name) => !before.has(name));
    };
    const [a, b, c] = [await file('a'), await file('b'), await file('c')];
    for (const [i, name] of [a, b, c].entries())
      await utimes(path.join(folder, 'pixels', name!), 100 + i, 100 + i);
    // Used once more: b is the oldest now.
    expect(await file('a')).toBeUndefined();
    const d = await file('d');
    expect(await filesIn(folder)).toEqual([a, c, d].sort());
    const sizes = await Promise.all(
      (await filesIn(folder)).map(async (name) => (await lstat(path.join(folder, 'pixels', name))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(3 * recordBytes);
  });

  it('holds while many open at once, and one of them keeps its file', async () => {
    const folder = await makeFolder();
    const opened = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map((content) =>
        open(folder, 0, { ...only(content), diskBytes: 2 * recordBytes }),
      ),
    );
    for (const { cache } of opened) {
      await cache.keep('train', 0, image(1));
      // Also from a file that is gone for others.
      expect(await readFrom(cache, 'train', 0)).toEqual([...image(1)]);
    }
    const left = await filesIn(folder);
    expect(left.length).toBeGreaterThanOrEqual(1);
    expect(left.length).toBeLessThanOrEqual(2);
  });

  it('keeps as many images of a larger data set as there is room for, and says so', async () => {
    const folder = await makeFolder();
    const { cache, warnings } = await open(folder, 0, { diskBytes: 2.5 * recordBytes });
    for (const id of [0, 1, 2]) await cache.keep('train', id, image(id));
    await cache.keep('valid', 0, image(3));
    const held = [];
    for (const id of [0, 1, 2]) held.push(await readFrom(cache, 'train', id));
    held.push(await readFrom(cache, 'valid', 0));
    expect(held.filter((pixels) => pixels !== null)).toHaveLength(2);
    expect(warnings).toEqual([expect.stringContaining('room for 62 % of the decoded images')]);
    const [file] = await filesIn(folder);
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
    await (await open(folder)).cache.close();
    expect((await readdir(folder)).sort()).toEqual(['pixels', 'pixels-of-mine.bin']);
    expect(await filesIn(folder)).toEqual(['mine.bin', expect.stringMatching(/^v5-8-[0-9a-f]{32}\.pixels$/)]);
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
