import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { fetchImagenetWeights } from '../../../coordinator/checkpoints/torchvision-weights.js';
import { type Arch, archs } from '../../../plan/run-config.js';
import { startHttpServer } from '../../support/http-server.js';
import { makeFolder } from '../../support/images.js';

const quiet = { signal: new AbortController().signal, onProgress() {} };
const names: Record<Arch, string> = {
  resnet18: 'resnet18-f37072fd.pth',
  resnet34: 'resnet34-b627a593.pth',
  resnet50: 'resnet50-0676ba61.pth',
  resnet101: 'resnet101-63fe2227.pth',
  resnet152: 'resnet152-394f9c45.pth',
};

afterEach(() => vi.unstubAllEnvs());

it.each(archs)('asks for %s by its name, and believes only its digest', async (arch) => {
  const server = await startHttpServer({ [`/mirror/${names[arch]}`]: { bytes: Buffer.from('not weights') } });
  vi.stubEnv('RONDO_WEIGHTS_URL', `${server.url}/mirror/`);
  const cacheDir = await makeFolder();
  const failure = fetchImagenetWeights(arch, { ...quiet, cacheDir });
  await expect(failure).rejects.toMatchObject({ code: 'data-loss' });
  await expect(failure).rejects.toThrow(`begins with ${names[arch].slice(-12, -4)}, found`);
  expect(server.requests.map((request) => request.path)).toEqual([`/mirror/${names[arch]}`]);
});

it('resolves to the file in the cache, also without the network', async () => {
  const bytes = Buffer.from('weights');
  const digest = createHash('sha256').update(bytes).digest('hex');
  const name = `resnet34-${digest.slice(0, 8)}.pth`;
  const server = await startHttpServer({ [`/${name}`]: { bytes } });
  vi.stubEnv('RONDO_WEIGHTS_URL', server.url);
  const o = { ...quiet, cacheDir: await makeFolder(), files: { ...names, resnet34: name } };
  const file = await fetchImagenetWeights('resnet34', o);
  expect(file).toBe(path.join(o.cacheDir, 'weights', name));
  expect((await readFile(file)).equals(bytes)).toBe(true);
  await server.close();
  expect(await fetchImagenetWeights('resnet34', o)).toBe(file);
});

it('tells an offline machine the file and its place', async () => {
  const server = await startHttpServer();
  await server.close();
  vi.stubEnv('RONDO_WEIGHTS_URL', server.url);
  const cacheDir = await makeFolder();
  await expect(fetchImagenetWeights('resnet34', { ...quiet, cacheDir })).rejects.toMatchObject({
    code: 'unavailable',
    remedy: expect.stringContaining(path.join(cacheDir, 'weights', 'resnet34-b627a593.pth')),
  });
});

it('refuses a mirror that is no web address, naming the variable', async () => {
  vi.stubEnv('RONDO_WEIGHTS_URL', '/srv/mirror');
  const failure = fetchImagenetWeights('resnet34', { ...quiet, cacheDir: await makeFolder() });
  await expect(failure).rejects.toMatchObject({ code: 'invalid-argument' });
  await expect(failure).rejects.toThrow('RONDO_WEIGHTS_URL is "/srv/mirror"');
});
