import path from 'node:path';
import { type Augmentation, augmentSample, lighting, windowedTransforms } from '../../plan/augmentation.js';
import type { RunConfig } from '../../plan/run-config.js';
import { testTimeViews } from '../../plan/test-time.js';
import type { Dataset } from '../../proto/dataset.js';
import { RondoError } from '../../runtime/errors.js';
import { createDecodePool, retryAlone } from '../../runtime/images.js';
import { createLimiter } from '../../runtime/limiter.js';
import { writeLines } from '../../runtime/printable.js';
import { objectsFolder } from '../../runtime/storage/sample-reader.js';
import type { ExpectedShards } from '../../runtime/storage/whole-shards.js';
import { type BatchBuffers, createBufferPool } from './batch-buffers.js';
import { decodePixels, imagesInHand } from './decode.js';
import { openFallbackSource } from './fetched-source.js';
import { openPixelCache } from './pixel-cache.js';
import { prefetch, throwIfAborted } from './prefetch.js';
import { openSource, type Source, type Split } from './source.js';
import { copyWindow, mostRows } from './windows.js';

/** One micro-batch, ready for the network. Its arrays may be reused after `release`. */
export interface MicroBatch extends BatchBuffers {
  release(): void;
}

export interface BatchRequest {
  readonly split: Split;
  /** The micro-batch's samples, in order. */
  readonly ids: Uint32Array;
  /** Epoch to draw the augmentation for, or null for none. */
  readonly epoch: number | null;
  /** Which of plan/test-time.ts's views of the images; then there is no epoch. */
  readonly view?: number;
  /** Where they change: the shards that training reads from here on. */
  readonly shards?: ExpectedShards<number>;
}

export interface Loader {
  /**
   * One micro-batch per request, in order. No more are begun while `depth` micro-batches are alive (in
   * preparation, ready or not yet released), so `depth` should exceed what the consumer holds at a time; a
   * request for as many images as several micro-batches have counts as several. Rejects with RondoError:
   * `data-loss` or the file system's code naming the file, `cancelled` at once when the signal comes.
   */
  load(
    requests: Iterable<BatchRequest>,
    o: { depth: number; signal: AbortSignal },
  ): AsyncIterable<MicroBatch>;
  /** Ends all loads, waits for the files in hand and closes the cache. Safe to call twice. */
  close(): Promise<void>;
}

export interface LoaderOptions {
  readonly dataset: Dataset;
  readonly config: Pick<RunConfig, 'seed' | 'order' | 'size' | 'presize' | 'microBatch' | 'augment'>;
  /** Budget of the pixel cache's memory. */
  readonly cacheBytes: number;
  readonly cacheDir: string;
  /** Bound of the decoded pixels on disk, of all data sets, and of what was fetched from URLs. */
  readonly diskCacheBytes: number;
  readonly signal?: AbortSignal;
  /** Where bytes come from, and closed with the loader; where the dataset says by default. */
  readonly source?: Source;
  /** Where those samples come from that are not there, or are others; closed with the loader. */
  readonly far?: Source;
  /** Told when the disk cannot cache, and when a file is waited for; standard error by default. */
  readonly warn?: (message: string) => void;
}

/**
 * Opens the way from sample ids to micro-batches: source, decoder, pixel cache, augmentation numbers,
 * buffers.
 */
export function openLoader(o: LoaderOptions): Loader {
  const { seed, size, presize, augment } = o.config;
  const warn = o.warn ?? ((message: string) => writeLines(process.stderr, [message]));
  const near =
    o.source ??
    openSource(o.dataset, {
      warn,
      wholeShards: o.config.order?.kind === 'windows',
      cache: { folder: path.join(o.cacheDir, objectsFolder), maxBytes: o.diskCacheBytes },
    });
  const source = o.far === undefined ? near : openFallbackSource(near, o.far, warn);
  const opening = openPixelCache({
    dataset: o.dataset,
    presize,
    memoryBytes: o.cacheBytes,
    diskBytes: o.diskCacheBytes,
    cacheDir: o.cacheDir,
    warn,
  });
  opening.catch(() => {});
  // plan/micro-batches.ts lets a remainder below half a micro-batch join the one before it.
  const pool = createBufferPool(presize, Math.ceil(o.config.microBatch * 1.5));
  // One limiter for all batches: the earliest batch's images come first, so a batch is whole before the next
  // begins.
  const limit = createLimiter(imagesInHand());
  const decodes = createDecodePool();
  const inHand = new Set<Promise<unknown>>();
  const closing = new AbortController();

  const decode = async (split: Split, id: number, signal: AbortSignal): Promise<Uint8Array> => {
    const sample = o.dataset[split].at(id)!;
    let bytes: Uint8Array | undefined;
    const decoded = retryAlone(decodes, (inTurn) =>
      // Before it is read: a file's bytes are in proportion to its pixels.
      inTurn(sample.width * sample.height, async () => {
        bytes ??= await source.read(split, id, signal);
        return decodePixels(bytes, sample, presize);
      }),
    );
    return decoded.catch((error: unknown) => {
      throw bytes === undefined || error instanceof RondoError
        ? error
        : undecodable(source.name(split, id), error);
    });
  };

  // What is not cached yet. The load that follows an interrupted one mostly begins with the same images.
  const decoding = new Map<string, Promise<Uint8Array>>();

  const usePixels = async (
    split: Split,
    id: number,
    signal: AbortSignal,
    use: (pixels: Uint8Array) => void,
  ): Promise<void> => {
    const cache = await opening;
    const key = `${split} ${id}`;
    // An interrupted load's may fail because of that.
    const begun = await decoding.get(key)?.catch(() => undefined);
    if (begun !== undefined) return use(begun);
    if (await cache.read(split, id, use)) return;
    const decoded = decode(split, id, signal);
    decoding.set(key, decoded);
    try {
      const pixels = await decoded;
      use(pixels);
      await cache.keep(split, id, pixels);
    } finally {
      decoding.delete(key);
    }
  };

  const views = testTimeViews(augment, seed);
  const augmentationOf = ({ epoch, view = 0 }: BatchRequest, id: number): Augmentation | null =>
    epoch === null ? views[view]! : augmentSample(augment, seed, epoch, id);

  const place = (request: BatchRequest, id: number) => {
    const { label, width, height } = o.dataset[request.split].at(id)!;
    const augmentation = augmentationOf(request, id);
    const { transforms, window } = windowedTransforms([augmentation], width / height, presize, size);
    return { id, label, transform: transforms[0]!, window, lighting: lighting(augmentation) };
  };

  const prepare = async (request: BatchRequest, signal: AbortSignal): Promise<MicroBatch> => {
    if (request.shards !== undefined) source.expect?.(request.shards);
    const samples = Array.from(request.ids, (id) => place(request, id));
    // All images of a batch have as many rows; where one's transform reaches fewer, the others are never
    // sampled.
    const rows = mostRows(samples);
    const { buffers, giveBack } = pool.take(samples.length, rows);
    const imageBytes = rows * presize * 3;
    const tasks = samples.map(({ id, label, transform, lighting, window }, position) =>
      limit(async () => {
        throwIfAborted(signal);
        const into = buffers.pixels.subarray(position * imageBytes, (position + 1) * imageBytes);
        await usePixels(request.split, id, signal, (pixels) => copyWindow(pixels, presize * 3, window, into));
        buffers.transforms.set(transform, position * 8);
        buffers.lighting.set(lighting, position * 2);
        buffers.labels[position] = label;
        buffers.ids[position] = id;
      }),
    );
    // All of them, even after a failure: nobody may write into buffers that were given back.
    const failed = (await Promise.allSettled(tasks)).find((result) => result.status === 'rejected');
    if (failed === undefined) return { ...buffers, release: giveBack };
    giveBack();
    throw failed.reason;
  };

  const prepareTracked = (request: BatchRequest, signal: AbortSignal): Promise<MicroBatch> => {
    const batch = prepare(request, signal);
    const settled: Promise<unknown> = batch.then(
      () => inHand.delete(settled),
      () => inHand.delete(settled),
    );
    inHand.add(settled);
    return batch;
  };

  return {
    load(requests, { depth, signal }) {
      const signals = [signal, closing.signal, ...(o.signal === undefined ? [] : [o.signal])];
      return prefetch(requests, prepareTracked, { depth, signal: AbortSignal.any(signals) });
    },
    async close() {
      closing.abort(new RondoError('cancelled', 'the loader was closed'));
      await Promise.all(inHand);
      await opening.then(
        (cache) => cache.close(),
        () => {},
      );
      await source.close();
    },
  };
}

function undecodable(file: string, error: unknown): RondoError {
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  return new RondoError('data-loss', `cannot decode image ${file}: ${reason}`, {
    remedy:
      'its bytes are those that could be decoded when the run began, so memory may be short: free some, and resume the run',
    cause: error,
  });
}
