import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type NamedData, namedData } from '../../../coordinator/dataset/named-data.js';
import { type DataOptions, type DataProgress, openData } from '../../../coordinator/dataset/open-data.js';
import { makeArchive, sha256Of } from '../../support/archives.js';
import { startHttpServer } from '../../support/http-server.js';
import { jpegBytes, makeFolder } from '../../support/images.js';

let archive: Buffer;
let catalogue: Record<string, NamedData>;

beforeAll(async () => {
  const names = ['Abyssinian_1', 'Abyssinian_2', 'Abyssinian_3', 'pug_1', 'pug_2', 'pug_3'];
  const entries = names.map(async (name, variant) => {
    return { name: `images/${name}.jpg`, bytes: await jpegBytes(variant, 60, 50) };
  });
  archive = await makeArchive(await Promise.all(entries));
  catalogue = {
    pets: { ...namedData.pets!, bytes: archive.length, sha256: sha256Of(archive), md5: undefined },
  };
});
afterEach(() => vi.unstubAllEnvs());

async function setUp() {
  const server = await startHttpServer({ '/pets.tar.gz': { bytes: archive } });
  vi.stubEnv('RONDO_DATA_URL', server.url);
  const cacheDir = await makeFolder();
  const seen: DataProgress[] = [];
  const open = (changes: Partial<DataOptions> = {}) =>
    openData({
      ...{ data: 'pets', validPct: 0.4, seed: 1, cacheDir, catalogue },
      signal: new AbortController().signal,
      onProgress: (progress) => seen.push(progress),
      ...changes,
    });
  return { server, cacheDir, seen, open };
}

describe('openData', () => {
  it('fetches a data set by its name, and labels it by its own pattern', async () => {
    const { cacheDir, seen, open, server } = await setUp();
    const { dataset, quarantined } = await open();
    expect(dataset.classes).toEqual(['Abyssinian', 'pug']);
    expect(dataset.root).toBe(path.join(cacheDir, 'data', 'pets'));
    expect(dataset.train.length + dataset.valid.length).toBe(6);
    expect(quarantined).toEqual([]);
    expect([...new Set(seen.map(({ phase }) => phase))]).toEqual([
      'downloading',
      'unpacking',
      'listing',
      'verifying',
    ]);
    expect(seen).toContainEqual({
      ...{ phase: 'downloading', subject: 'pets', unit: 'bytes' },
      ...{ done: archive.length, total: archive.length },
    });
    await server.close();
    expect((await open()).dataset).toEqual(dataset);
  });

  it('lets a pattern of one’s own win', async () => {
    const { open } = await setUp();
    const { dataset } = await open({ labelPattern: '/[^/]+_(\\d)\\.jpg$' });
    expect(dataset.classes).toEqual(['1', '2', '3']);
  });

  it('takes a folder for a folder', async () => {
    const { cacheDir, open } = await setUp();
    const failure = open({ data: path.join(cacheDir, 'pets') });
    await expect(failure).rejects.toMatchObject({ code: 'not-found' });
  });
});
