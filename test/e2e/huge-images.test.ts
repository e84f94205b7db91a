import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../support/images.js';

/**
 * Two of them are more than is decoded at a time, in a format that is decoded as a whole: 180 MB of
 * coefficients each. And a photograph as telephones take it, which is shrunk while it is decoded.
 */
const sizes = [
  { width: 7_800, height: 7_800, progressive: true },
  { width: 7_800, height: 7_800, progressive: true },
  { width: 16_320, height: 12_240, progressive: false },
];
const count = sizes.length;
let root: string;
let samples: { path: string; label: number; width: number; height: number; digest: string }[];

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'rondo-huge-'));
  samples = [];
  let before: Buffer | undefined;
  for (const [i, { progressive, ...size }] of sizes.entries()) {
    const background = { r: 200, g: 90, b: 30 };
    const again = i > 0 && size.width === sizes[i - 1]!.width ? before : undefined;
    const draw = () => sharp({ create: { ...size, channels: 3, background } }).jpeg({ progressive });
    const bytes: Buffer = again ?? (await draw().toBuffer());
    before = bytes;
    await writeFile(path.join(root, `${i}.jpg`), bytes);
    samples.push({ path: `${i}.jpg`, label: 0, ...size, digest: sha256(bytes) });
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

const ways = {
  verification: `
    const { verifyImages } = await import('./dist/coordinator/dataset/verify.js');
    const { statImageFile } = await import('./dist/coordinator/dataset/image-files.js');
    const files = await Promise.all(names.map((name) => statImageFile(root, name)));
    const cacheDir = root + '/cache';
    const findings = await verifyImages(root, files, { cacheDir, signal, onProgress() {} });
    const good = [...findings.values()].filter(({ usable }) => usable).length;`,
  training: `
    const { openLoader } = await import('./dist/worker/data/loader.js');
    const loader = openLoader({
      dataset: { root, classes: ['a', 'b'], train: samples, valid: [], digest: 'd' },
      config: { seed: 1, size: 56, presize: 64, microBatch: 8, augment: 'fastai' },
      ...{ cacheBytes: 0, cacheDir: root, diskCacheBytes: 0 },
    });
    let good = 0;
    const requests = [{ split: 'train', ids: Uint32Array.from(names.keys()), epoch: 0 }];
    for await (const batch of loader.load(requests, { depth: 1, signal })) good += batch.ids.length;`,
  prediction: `
    const { loadFileBatches, localFile } = await import('./dist/worker/data/file-batches.js');
    const files = names.map((name) => localFile(root + '/' + name));
    let good = 0;
    const options = { size: 56, presize: 64, batch: 8, depth: 1, signal };
    for await (const batch of loadFileBatches(files, options)) good += batch.ids.length;`,
};

it.each(Object.entries(ways))('%s holds one huge image at a time', async (_, way) => {
  const script = `
    const root = process.argv[1];
    const samples = JSON.parse(process.argv[2]);
    const names = samples.map(({ path }) => path);
    const { signal } = new AbortController();
    ${way}
    process.stdout.write(JSON.stringify({ good, megabytes: process.resourceUsage().maxRSS / 1024 }));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', script, root, JSON.stringify(samples)],
    { env: { ...process.env, UV_THREADPOOL_SIZE: '4' } },
  );
  const { good, megabytes } = JSON.parse(stdout) as { good: number; megabytes: number };
  expect(good).toBe(count);
  // One takes 180 MB and the process 100; two at once would take 460.
  expect(megabytes).toBeLessThan(420);
});
