import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { drawAugmentation, lighting, windowedTransforms } from '../../../plan/augmentation.js';
import { testTimeViews } from '../../../plan/test-time.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { decodePixels } from '../../../worker/data/decode.js';
import { type FetchSamples, moveDataset, openFetchedSource } from '../../../worker/data/fetched-source.js';
import { throwIfAborted } from '../../../worker/data/prefetch.js';
import { collect, config, everything, imageBytes, makeLoader, request } from '../../support/loading.js';

const rowBytes = config.presize * 3;
const never = new AbortController().signal;

/** A row of an image that is mirrored at its ends for ever, as NumPy's symmetric padding does it. */
function mirroredRow(pixels: Uint8Array, row: number): Uint8Array {
  const rows = Array.from({ length: pixels.length / rowBytes }, (_, i) => i);
  const there = [...rows, ...rows.toReversed()];
  const from = there.at(row % there.length)!;
  return pixels.subarray(from * rowBytes, (from + 1) * rowBytes);
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

  it.each([
    ['joins a read that is under way as a load is interrupted', 'go on', 4],
    ['reads anew what the interruption broke off', 'break off', 8],
  ] as const)('%s', async (_, then, expected) => {
    const { folder, open } = await makeLoader();
    const gate = createDeferred<void>();
    let reads = 0;
    const loader = open({
      source: {
        ...folder,
        async read(split, id, signal) {
          reads += 1;
          if (reads <= 4) await gate.promise;
          if (then === 'break off') throwIfAborted(signal!);
          return folder.read(split, id);
        },
      },
    });
    const generation = new AbortController();
    const first = loader.load([request([0, 1, 2, 3])], { depth: 1, signal: generation.signal });
    const batch = first[Symbol.asyncIterator]().next();
    await expect.poll(() => reads).toBe(4);
    generation.abort();
    await expect(batch).rejects.toMatchObject({ code: 'cancelled' });
    const next = collect(loader, [request([3, 2, 1, 0])]);
    await setImmediate();
    gate.resolve();
    expect(await next).toEqual(await collect(open(), [request([3, 2, 1, 0])]));
    expect(reads).toBe(expected);
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
});
