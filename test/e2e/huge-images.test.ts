import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../support/images.js';

const side = 10_000;
const count = 3;
let root: string;
let digest: string;

/** Equal images of 100 megapixels in a format that is decoded as a whole: 300 MB of coefficients each. */
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'rondo-huge-'));
  const background = { r: 200, g: 90, b: 30 };
  const image = sharp({ create: { width: side, height: side, channels: 3, background } });
  const bytes = await image.jpeg({ progressive: true }).toBuffer();
  digest = sha256(bytes);
  for (let i = 0; i < count; i += 1) await writeFile(path.join(root, `${i}.jpg`), bytes);
}, 600_000);
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
    const train = names.map((path) => ({ path, label: 0, width: ${side}, height: ${side}, digest }));
    const loader = openLoader({
      dataset: { root, classes: ['a', 'b'], train, valid: [], digest },
      config: { seed: 1, size: 56, presize: 64, microBatch: 8, augment: 'fastai' },
      ...{ cacheBytes: 0, cacheDir: root, diskCacheBytes: 0 },
    });
    let good = 0;
    const requests = [{ split: 'train', ids: Uint32Array.from(names.keys()), epoch: 0 }];
    for await (const batch of loader.load(requests, { depth: 1, signal })) good += batch.ids.length;`,
  prediction: `
    const { loadFileBatches } = await import('./dist/worker/data/file-batches.js');
    const files = names.map((name) => root + '/' + name);
    let good = 0;
    const options = { size: 56, presize: 64, batch: 8, depth: 1, signal };
    for await (const batch of loadFileBatches(files, options)) good += batch.ids.length;`,
};

it.each(Object.entries(ways))('%s holds one huge image at a time', { timeout: 600_000 }, async (_, way) => {
  const script = `
    const [root, digest] = process.argv.slice(1);
    const names = Array.from({ length: ${count} }, (_, i) => i + '.jpg');
    const { signal } = new AbortController();
    ${way}
    process.stdout.write(JSON.stringify({ good, megabytes: process.resourceUsage().maxRSS / 1024 }));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', script, root, digest],
    { env: { ...process.env, UV_THREADPOOL_SIZE: '4' } },
  );
  const { good, megabytes } = JSON.parse(stdout) as { good: number; megabytes: number };
  expect(good).toBe(count);
  // One takes 300 MB and the process 100; all at once would take 1000.
  expect(megabytes).toBeLessThan(700);
});
