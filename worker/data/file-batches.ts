import { stat } from 'node:fs/promises';
import { type Augmentation, lighting, windowedTransforms } from '../../plan/augmentation.js';
import type { Range } from '../../plan/micro-batches.js';
import { RondoError } from '../../runtime/errors.js';
import { createDecodePool } from '../../runtime/images.js';
import { createLimiter } from '../../runtime/limiter.js';
import { briefWaitsMs, readPatiently } from '../../runtime/read-file.js';
import { type BatchBuffers, createBufferPool } from './batch-buffers.js';
import { type DecodedImage, decodeImage, imagesInHand } from './decode.js';
import { prefetch, throwIfAborted } from './prefetch.js';
import { copyWindow, mostRows } from './windows.js';

/** What is to be classified. Rejections are told as the reason why it cannot be. */
export interface ImageToRead {
  /** In bytes. */
  size(): Promise<number>;
  read(signal: AbortSignal): Promise<Buffer>;
}

/** A file on this machine. */
export function localFile(file: string): ImageToRead {
  return {
    size: async () => (await stat(file)).size,
    read: (signal) => readPatiently(file, { waitsMs: briefWaitsMs, signal }),
  };
}

/** A file that is no image, or could not be read. */
export interface Unreadable {
  /** Position in the list of files. */
  readonly index: number;
  readonly reason: string;
}

/**
 * Images without labels, ready for the network: `ids` are positions in the list of files, `labels` mean
 * nothing.
 */
export interface FileBatch extends BatchBuffers {
  /**
   * What shows each of the views that were asked for, in their order; the first one's are the buffers' own.
   */
  readonly views: readonly Pick<BatchBuffers, 'transforms' | 'lighting'>[];
  readonly unreadable: readonly Unreadable[];
  /** The arrays may be reused afterwards. */
  release(): void;
}

export interface FileBatchOptions {
  /** Sides in pixels: of the network's input, and the short side that images are decoded to. */
  readonly size: number;
  readonly presize: number;
  /** What is done to the images, one after the other; the middle of each unless given. */
  readonly views?: readonly (Augmentation | null)[];
  /** Files of one batch, at most. */
  readonly batch: number;
  /** Batches that are alive at a time. */
  readonly depth: number;
  readonly signal: AbortSignal;
}

/**
 * Decodes files the way validation images are: presized, then the middle of them. In order, read ahead; what
 * cannot be read or decoded is left out of its batch and named there. Rejects only when the signal comes.
 */
export function loadFileBatches(
  files: readonly ImageToRead[],
  o: FileBatchOptions,
): AsyncIterable<FileBatch> {
  const { size, presize, batch, depth, signal, views = [null] } = o;
  const pool = createBufferPool(presize, Math.min(batch, files.length));
  const limit = createLimiter(imagesInHand());
  const decodes = createDecodePool();
  const ranges: Range[] = [];
  for (let start = 0; start < files.length; start += batch) {
    ranges.push({ start, end: Math.min(start + batch, files.length) });
  }

  const decode = (index: number, stop: AbortSignal) =>
    limit(async (): Promise<DecodedImage | Unreadable> => {
      throwIfAborted(stop);
      try {
        const file = files[index]!;
        return await decodes.bytes(await file.size(), async () =>
          decodeImage(await file.read(stop), presize, decodes),
        );
      } catch (error) {
        return { index, reason: describeFault(error) };
      }
    });

  const prepare = async ({ start, end }: Range, stop: AbortSignal): Promise<FileBatch> => {
    const indices = Array.from({ length: end - start }, (_, position) => start + position);
    const decoded = await Promise.all(indices.map((index) => decode(index, stop)));
    const images = decoded.flatMap((image, position) =>
      'pixels' in image ? [{ ...image, index: start + position }] : [],
    );
    const places = images.map(({ width, height }) =>
      windowedTransforms(views, width / height, presize, size),
    );
    const rows = mostRows(places);
    const imageBytes = rows * presize * 3;
    const { buffers, giveBack } = pool.take(images.length, rows);
    images.forEach(({ pixels, index }, position) => {
      const into = buffers.pixels.subarray(position * imageBytes, (position + 1) * imageBytes);
      copyWindow(pixels, presize * 3, places[position]!.window, into);
      buffers.ids[position] = index;
    });
    const shown = views.map((view, place) => {
      const { transforms, lighting: light } = place === 0 ? buffers : emptyView(images.length);
      places.forEach((placed, position) => {
        transforms.set(placed.transforms[place]!, position * 8);
        light.set(lighting(view), position * 2);
      });
      return { transforms, lighting: light };
    });
    const unreadable = decoded.filter((image) => 'reason' in image);
    return { ...buffers, views: shown, unreadable, release: giveBack };
  };

  return prefetch(ranges, prepare, { depth, signal });
}

function emptyView(images: number): FileBatch['views'][number] {
  return { transforms: new Float32Array(8 * images), lighting: new Float32Array(2 * images) };
}

function describeFault(error: unknown): string {
  const { code, message } = RondoError.from(error);
  return code === 'not-found' ? 'there is no such file' : message.split('\n')[0]!;
}
