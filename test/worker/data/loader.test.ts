import { copyFile, cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { drawAugmentation, lighting, windowedTransforms } from '../../../plan/augmentation.js';
import { testTimeViews } from '../../../plan/test-time.js';
import { decodePixels } from '../../../worker/data/decode.js';
import { type FetchSamples, moveDataset, openFetchedSource } from '../../../worker/data/fetched-source.js';
import { type BatchRequest, type LoaderOptions, openLoader } from '../../../worker/data/loader.js';
import { openSource, type Source } from '../../../worker/data/source.js';
import { jpegBytes, makeFolder, sha256, writeDataset, writeFiles } from '../../support/images.js';

const config = { seed: 7, size: 12, presize: 16, microBatch: 4, augment: 'fastai' } as const;
const imageBytes = config.presize ** 2 * 3;
const rowBytes = config.presize * 3;
const never = new AbortController().signal;

async function makeLoader(o: Partial<LoaderOptions> = {}) {
  const root = await makeFolder();
  const dataset = await writeDataset(path.join(root, 'images'), 14, 4);
  const folder = openSource(dataset);
  const reads: string[] = [];
  const source: Source = {
    ...folder,
    read: (split, id) => {
      reads.push(`${split} ${id}`);
      return folder.read(split, id);
    },
  };
  const warnings: string[] = [];
  const open = (more: Partial<LoaderOptions> = {}) => {
    const loader = openLoader({
      dataset,
      config,
      cacheBytes: 100 * imageBytes,
      cacheDir: path.join(root, 'cache'),
      diskCacheBytes: 2 ** 30,
      source,
      warn: (message) => warnings.push(message),
      ...o,
      ...more,
    });
    onTestFinished(() => loader.close());
    return loader;
  };
  return { root, dataset, folder, reads, warnings, open };
}

function request(
  ids: number[],
  epoch: number | null = null,
  split: 'train' | 'valid' = 'train',
): BatchRequest {
  return { split, ids: Uint32Array.from(ids), epoch };
}

const everything = [
  request([3, 1, 2, 0], 5),
  request([9, 8, 7, 6, 5, 4], 5),
  request([2, 0, 1, 3], null, 'valid'),
];

/** A row of an image that is mirrored at its ends for ever, as NumPy's symmetric padding does it. */
function mirroredRow(pixels: Uint8Array, row: number): Uint8Array {
  const rows = Array.from({ length: pixels.length / rowBytes }, (_, i) => i);
  const there = [...rows, ...rows.toReversed()];
  const from = there.at(row % there.length)!;
  return pixels.subarray(from * rowBytes, (from + 1) * rowBytes);
}

/** Passed once it is opened. */
function makeGate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** What a batch holds, copied, as it is released. */
async function collect(loader: ReturnType<typeof openLoader>, requests: Iterable<BatchRequest>, depth = 3) {
  const batches = [];
  for await (const { release, ...arrays } of loader.load(requests, { depth, signal: never })) {
    batches.push({
      ids: [...arrays.ids],
      labels: [...arrays.labels],
      pixels: Buffer.from(arrays.pixels),
      transforms: [...arrays.transforms],
      lighting: [...arrays.lighting],
    });
    release();
  }
  return batches;
}

describe('openLoader', () => {
  it('fills in pixels, labels and augmentation numbers, in order', async () => {
    const { dataset, folder, open } = await makeLoader();
    const batches = await collect(open(), everything);
    expect(batches).toHaveLength(everything.length);
    for (const [i, { split, ids, epoch }] of everything.entries()) {
      const batch = batches[i]!;
      expect(batch.ids).toEqual([...ids]);
      expect(batch.labels).toEqual(Array.from(ids, (id) => dataset[split].at(id)!.label));
      for (const [position, id] of ids.entries()) {
        const augmentation = epoch === null ? null : drawAugmentation(config.seed, epoch, id);
        const sample = dataset[split].at(id)!;
        const pixels = await decodePixels(await folder.read(split, id), sample, config.presize);
        const { transforms, window } = windowedTransforms(
          [augmentation],
          sample.width / sample.height,
          config.presize,
          config.size,
        );
        const found = batch.pixels.subarray(
          (batch.pixels.length / ids.length) * position,
          (batch.pixels.length / ids.length) * (position + 1),
        );
        expect(found.length / rowBytes).toBeGreaterThanOrEqual(window.rows);
        for (let row = 0; row < found.length / rowBytes; row += 1) {
          const wanted = row < window.rows ? mirroredRow(pixels, window.start + row) : Buffer.alloc(rowBytes);
          expect(found.subarray(row * rowBytes, (row + 1) * rowBytes).equals(wanted)).toBe(true);
        }
        expect(batch.transforms.slice(position * 8, position * 8 + 8)).toEqual([...transforms[0]!]);
        expect(batch.lighting.slice(position * 2, position * 2 + 2)).toEqual([
          ...Float32Array.from(lighting(augmentation)),
        ]);
      }
    }
  });

  it('shows validation images in the view that is asked for', async () => {
    const { dataset, open } = await makeLoader();
    const ids = Uint32Array.of(2, 0);
    const views = testTimeViews(config.augment, config.seed);
    const requests = views.map((_, view) => ({ split: 'valid' as const, ids, epoch: null, view }));
    const batches = await collect(open(), requests);
    for (const [view, batch] of batches.entries()) {
      ids.forEach((id, position) => {
        const { width, height } = dataset.valid.at(id)!;
        const { transforms } = windowedTransforms(
          [views[view]!],
          width / height,
          config.presize,
          config.size,
        );
        expect(batch.transforms.slice(position * 8, position * 8 + 8)).toEqual([...transforms[0]!]);
        expect(batch.lighting.slice(position * 2, position * 2 + 2)).toEqual([
          ...Float32Array.from(lighting(views[view]!)),
        ]);
      });
    }
    expect(batches[0]).toEqual((await collect(open(), [{ split: 'valid', ids, epoch: null }]))[0]);
  });

  it('does not augment when the run does not', async () => {
    const { open } = await makeLoader({ config: { ...config, augment: 'none' } });
    const [augmented, plain] = await collect(open(), [request([1, 2], 5), request([1, 2], null)]);
    expect(augmented).toEqual(plain);
  });

  it.each([
    ['memory', 100 * imageBytes],
    ['memory and disk', 5 * imageBytes],
    ['disk', 0],
  ])('reads every file once, and later epochs from %s', async (_name, cacheBytes) => {
    const { reads, warnings, open } = await makeLoader({ cacheBytes });
    const loader = open();
    const first = await collect(loader, everything);
    expect(reads).toHaveLength(14);
    expect(await collect(loader, everything)).toEqual(first);
    expect(reads).toHaveLength(14);
    await loader.close();
    // Another worker, or a later run.
    expect(await collect(open(), everything)).toEqual(first);
    expect(reads).toHaveLength(14);
    expect(warnings).toEqual([]);
  });

  it('puts arrays into shared memory, aligned for TensorFlow, and uses released memory again', async () => {
    const { open } = await makeLoader();
    const requests = Array.from({ length: 20 }, (_, i) => request([i % 10, (i + 1) % 10, (i + 2) % 10]));
    const memories = new Set<ArrayBufferLike>();
    for await (const batch of open().load(requests, { depth: 2, signal: never })) {
      for (const array of [batch.pixels, batch.labels, batch.transforms, batch.lighting, batch.ids]) {
        expect(array.buffer).toBeInstanceOf(SharedArrayBuffer);
        expect(array.byteOffset % 64).toBe(0);
        memories.add(array.buffer);
      }
      batch.release();
    }
    expect(memories.size).toBeLessThanOrEqual(2);
  });

  it('reads nothing again that it had read ahead when it was interrupted', async () => {
    const { reads, open } = await makeLoader();
    const loader = open();
    const requests = [
      request([3, 1, 2, 0]),
      request([9, 8, 7, 6]),
      request([2, 0], null, 'valid'),
      request([4, 5]),
    ];
    const generation = new AbortController();
    const batches = loader.load(requests, { depth: 3, signal: generation.signal })[Symbol.asyncIterator]();
    (await batches.next()).value!.release();
    await expect.poll(() => reads.length).toBe(12);
    generation.abort();
    await expect(batches.next()).rejects.toMatchObject({ code: 'cancelled' });
    // Another share of the same step, and of the evaluation.
    await collect(loader, [request([9, 8, 7, 6, 3]), request([2, 0], null, 'valid'), request([4])]);
    expect(reads).toHaveLength(12);
    expect(new Set(reads).size).toBe(12);
  });

  it('leaves a batch alone until it is released', async () => {
    const { open } = await makeLoader();
    const held = [];
    for await (const batch of open().load(everything, { depth: 1, signal: never })) {
      held.push({ batch, pixels: Buffer.from(batch.pixels), ids: [...batch.ids] });
    }
    for (const { batch, pixels, ids } of held) {
      expect(pixels.equals(batch.pixels)).toBe(true);
      expect([...batch.ids]).toEqual(ids);
      batch.release();
    }
  });

  it('refuses a file that is another one than was indexed, though it could be decoded', async () => {
    const { dataset, open } = await makeLoader();
    const [one, other] = [6, 8].map((id) => path.join(dataset.root, dataset.train.at(id)!.path));
    await copyFile(other!, one!);
    await expect(collect(open(), everything)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining(one!),
      remedy: expect.any(String),
    });
  });

  it.each([
    ['truncated', (file: string, bytes: Buffer) => truncate(file, bytes.length - 40)],
    ['emptied', (file: string) => truncate(file)],
    ['damaged', (file: string, bytes: Buffer) => writeFile(file, bytes.with(bytes.length >> 1, 0x55))],
  ])('refuses a file that was %s while the run goes on', async (_what, change) => {
    const { dataset, open } = await makeLoader();
    const file = path.join(dataset.root, dataset.train.at(6)!.path);
    await change(file, await readFile(file));
    await expect(collect(open(), everything)).rejects.toMatchObject({
      code: 'failed-precondition',
      message: `image ${file} is not what it was when the run began`,
      remedy: expect.stringContaining('restore the file and resume the run'),
    });
  });

  /** How many samples each of two epochs fetches, where the images are looked for in `root`. */
  async function fetchedInTwoEpochs(
    root: string,
    { dataset, folder, open }: Awaited<ReturnType<typeof makeLoader>>,
  ) {
    let fetched = 0;
    const fetch: FetchSamples = async function* (split, ids) {
      for (const id of ids) {
        fetched += 1;
        yield { data: await folder.read(split, id), last: true };
      }
    };
    const far = openFetchedSource(dataset, fetch, 1_000);
    const loader = open({ dataset: moveDataset(dataset, root), source: undefined, far });
    const counts = [];
    for (const _ of [0, 1]) {
      await collect(loader, everything);
      counts.push(fetched);
      fetched = 0;
    }
    return counts;
  }

  it('fetches what is not here once: nothing travels from the second epoch on', async () => {
    const made = await makeLoader();
    expect(await fetchedInTwoEpochs(path.join(made.root, 'nowhere'), made)).toEqual([14, 0]);
    expect(made.warnings).toEqual([expect.stringContaining('what is not here is fetched')]);
  });

  it('fetches nothing of what lies in another folder here', async () => {
    const made = await makeLoader();
    const copy = path.join(made.root, 'copy');
    await cp(made.dataset.root, copy, { recursive: true });
    expect(await fetchedInTwoEpochs(copy, made)).toEqual([0, 0]);
    expect(made.warnings).toEqual([]);
  });

  it.each([
    ['memory', 100 * imageBytes, 0],
    ['disk', 0, 2 ** 30],
  ])('does without files whose pixels are in %s', async (_where, cacheBytes, diskCacheBytes) => {
    const { dataset, open } = await makeLoader({ cacheBytes, diskCacheBytes });
    const loader = open();
    const first = await collect(loader, everything);
    await rm(dataset.root, { recursive: true });
    expect(await collect(loader, everything)).toEqual(first);
  });

  it('names the file that cannot be decoded or is gone', async () => {
    const { dataset, open } = await makeLoader();
    const file = path.join(dataset.root, dataset.train.at(6)!.path);
    await writeFile(file, 'no image');
    Object.assign(dataset.train.at(6)!, { digest: sha256(Buffer.from('no image')) });
    await expect(collect(open(), everything)).rejects.toMatchObject({
      name: 'RondoError',
      code: 'data-loss',
      message: expect.stringContaining(file),
      remedy: expect.any(String),
    });
    const gone = { ...dataset, valid: [{ ...dataset.valid.at(0)!, path: 'a/gone.jpg' }] };
    const loader = open({ dataset: gone, source: openSource(gone) });
    await expect(collect(loader, [request([0], null, 'valid')])).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('gone.jpg'),
    });
  });

  it('says why the file itself cannot be decoded, whatever fails at the same time', async () => {
    const { open } = await makeLoader();
    const root = await makeFolder();
    const kinds = [(await jpegBytes(0, 240, 240)).subarray(0, 1500), Buffer.from('no image')];
    const train = Array.from({ length: 60 }, (_, id) => ({
      ...{ path: `${id}.jpg`, label: 0, width: 240, height: 240, digest: sha256(kinds[id % 2]!) },
    }));
    await writeFiles(root, Object.fromEntries(train.map(({ path: name }, id) => [name, kinds[id % 2]!])));
    const broken = { root, classes: ['a'], train, valid: [], digest: 'broken' };
    const reasonOf = async (ids: number[]) => {
      const loader = open({ dataset: broken, source: openSource(broken) });
      return collect(loader, [request(ids)]).catch((error: Error) => error.message);
    };
    const [first, second] = [await reasonOf([0]), await reasonOf([1])];
    expect(first).toMatch(/cannot decode image \S+0.jpg: /);
    expect(String(first).split(': ')[1]).not.toBe(String(second).split(': ')[1]);
    expect(await reasonOf(train.map((_, id) => id))).toBe(first);
  });

  it.each(['load', 'loader', 'close'])(
    'ends a load that waits for a slow disk at once: by the signal of %s',
    async (by) => {
      const { dataset, folder, open } = await makeLoader();
      const controllers = { load: new AbortController(), loader: new AbortController() };
      const gate = makeGate();
      const reading = makeGate();
      const source: Source = {
        ...folder,
        read: async (split, id) => {
          reading.open();
          await gate.opened;
          return folder.read(split, id);
        },
      };
      const loader = open({ dataset, source, signal: controllers.loader.signal });
      const items = loader
        .load(everything, { depth: 2, signal: controllers.load.signal })
        [Symbol.asyncIterator]();
      const next = items.next();
      await reading.opened;
      const closed = by === 'close' ? loader.close() : controllers[by as 'load' | 'loader'].abort();
      await expect(next).rejects.toMatchObject({ code: 'cancelled' });
      gate.open();
      await closed;
      await loader.close();
      await expect(collect(loader, everything)).rejects.toMatchObject({ code: 'cancelled' });
    },
  );
});
