import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type DatasetOptions, openDataset } from '../../../coordinator/dataset/dataset.js';
import { openSource, type Split } from '../../../worker/data/source.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';
import { digestFolder, packFolder } from '../../support/packing.js';

const photos = await Promise.all(Array.from({ length: 24 }, (_, i) => jpegBytes(i, 96 + i, 80)));

function open(data: string, o: Partial<DatasetOptions> = {}) {
  const rest = { validPct: 0.25, seed: 7, cacheDir: path.join(data, '.cache'), onProgress() {} };
  return openDataset({ data, ...rest, signal: new AbortController().signal, ...o });
}

/** Photographs of classes a and b in a folder, with sets or without, and a pack of it. */
async function makePacked({ sets = false, o = {} }: { sets?: boolean; o?: object } = {}) {
  const work = await makeFolder();
  const [data, packed] = [path.join(work, 'photos'), path.join(work, 'packed')];
  const set = (i: number) => (sets ? (i % 3 === 0 ? 'val/' : 'train/') : '');
  const files = photos.map((bytes, i) => [`${set(i)}${i % 2 ? 'b' : 'a'}/${i}.jpg`, bytes] as const);
  await writeFiles(data, Object.fromEntries(files));
  await packFolder(data, packed, { shardBytes: 20_000, ...o });
  return { data, packed };
}

describe('packed images', () => {
  it.each([
    ['drawn at random', false, {}],
    ['drawn within each class', false, { split: 'stratified' }],
    ['given by folders', true, {}],
    ['drawn though there are folders', true, { split: 'random' }],
  ] as const)('are the data set that was packed, its validation set %s', async (_name, sets, o) => {
    const { data, packed } = await makePacked({ sets });
    const [folder, pack] = [await open(data, o), await open(packed, o)];
    expect(pack.dataset.digest).toBe(folder.dataset.digest);
    expect(pack.validation).toBe(folder.validation);
    const bare = (split: Split) => Array.from(pack.dataset[split], ({ range: _, ...sample }) => sample);
    expect(bare('train')).toEqual([...folder.dataset.train]);
    expect(bare('valid')).toEqual([...folder.dataset.valid]);
    const [fromFolder, fromPack] = [openSource(folder.dataset), openSource(pack.dataset)];
    for (const split of ['train', 'valid'] as const) {
      expect(pack.dataset[split].length).toBeGreaterThan(4);
      for (let id = 0; id < pack.dataset[split].length; id += 1) {
        expect(await fromPack.read(split, id)).toEqual(await fromFolder.read(split, id));
      }
    }
    await fromPack.close();
  });

  it('may be named by their index, and packed again to the same bytes', async () => {
    const { packed } = await makePacked();
    const { dataset } = await open(path.join(packed, 'index.rondo'));
    expect(dataset.root).toBe(packed);
    const again = path.join(await makeFolder(), 'again');
    await packFolder(packed, again, { shardBytes: 20_000 });
    expect(await digestFolder(again)).toEqual(await digestFolder(packed));
  });

  it('are another data set in other shards for a run that goes through them by windows', async () => {
    const { data, packed } = await makePacked();
    const other = path.join(await makeFolder(), 'other');
    await packFolder(data, other, { shardBytes: 30_000 });
    const digestOf = async (pack: string, shuffleWindow: number) =>
      (await open(pack, { shuffleWindow })).dataset.digest;
    expect(await digestOf(other, 0)).toBe(await digestOf(packed, 0));
    expect(await digestOf(other, 2)).not.toBe(await digestOf(packed, 2));
    const { train } = (await open(packed, { shuffleWindow: 2 })).dataset;
    const places = Array.from(train, ({ range }) => range!.shard * 1_000_000 + range!.block);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    await expect(open(data, { shuffleWindow: 2 })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: `--shuffle-window is given, but ${data} has no shards`,
    });
  });

  it('have their labels with them', async () => {
    const { packed } = await makePacked();
    await expect(open(packed, { labelPattern: '/(.)', validDir: packed })).rejects.toMatchObject({
      code: 'invalid-argument',
      message: `--label-pattern and --valid cannot be given with packed images: ${packed} holds their labels and sets`,
      remedy: expect.stringContaining('coordinator pack'),
    });
  });

  it('are refused before training when a shard is cut off or gone', async () => {
    const { packed } = await makePacked();
    const shard = path.join(packed, 'images-000001.tar');
    const { length } = await readFile(shard);
    await truncate(shard, length - 1);
    await expect(open(packed)).rejects.toMatchObject({
      code: 'data-loss',
      message: `${shard} has ${length - 1} bytes, not ${length}`,
    });
    await rm(shard);
    await expect(open(packed)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(shard),
    });
  });

  it('are not taken for what they were when a byte of a shard has changed', async () => {
    const { packed } = await makePacked();
    const { dataset } = await open(packed);
    const { range, path: name } = dataset.train.at(0)!;
    const shard = path.join(packed, dataset.shards!.shards[range!.shard]!.name);
    const bytes = await readFile(shard);
    bytes[range!.block * 512 + 5]! ^= 1;
    await writeFile(shard, bytes);
    await expect(openSource(dataset).read('train', 0)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: `image ${name} in ${shard} is not what it was when the run began`,
    });
  });
});
