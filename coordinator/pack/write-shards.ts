import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { createDecodePool } from '../../runtime/images.js';
import { threadPoolSize } from '../../runtime/limiter.js';
import type { Samples } from '../../runtime/storage/sample-columns.js';
import { blockBytes, type SampleReader } from '../../runtime/storage/sample-reader.js';
import type { IndexedImages } from '../dataset/indexed-images.js';
import {
  copyColumns,
  type IndexHeader,
  type SampleColumns,
  type ShardRecord,
  sliceColumns,
} from '../dataset/shard-index.js';
import { type Encoding, encodeImage, type PackedImage } from './encode-image.js';
import type { FinishedShard, OutputFolder } from './output-folder.js';
import { readAhead } from './read-ahead.js';
import { createShard } from './shard-file.js';
import { encodeFiles, endBytes } from './tar.js';

/** Images in hand: for each thread of libuv's pool, and in bytes of their files. */
const [imagesPerThread, bytesInHand] = [4, 1 << 28];

/** The samples of one set, in the order in which they are packed. */
export interface ShardSeries {
  readonly set: 'train' | 'valid' | null;
  /** In the data set's list. */
  readonly positions: Uint32Array;
  /** What each is called. */
  readonly keys: readonly string[];
}

export interface WriteOptions extends Encoding {
  readonly images: Samples;
  /** Of each image, by position. */
  readonly sets: IndexedImages['sets'];
  /** Of each set: what reads its images. */
  readonly sources: { readonly train: SampleReader; readonly valid: SampleReader };
  readonly shardBytes: number;
  readonly output: OutputFolder;
  /** Of every shard's note, beside the shard itself. */
  readonly header: Omit<IndexHeader, 'shards'>;
  /** Takes the samples from `at` on. */
  readonly columns: SampleColumns;
  readonly at: number;
  readonly signal: AbortSignal;
  onPacked(samples: number): void;
}

export interface WrittenSeries {
  readonly shards: readonly ShardRecord[];
  /** How many of them were there already. */
  readonly found: number;
}

/**
 * Writes one set's shards, filled one after the other up to their size; images are read and encoded several
 * at a time. Where a shard ends depends on the sizes of the samples before it alone, so one that an earlier
 * call finished is left as it is when it begins where it would begin now and still holds the same bytes.
 */
export async function writeSeries(series: ShardSeries, o: WriteOptions): Promise<WrittenSeries> {
  const { output, columns, signal } = o;
  const shards: ShardRecord[] = [];
  let [found, done] = [0, 0];
  let ahead: EncodedSamples | null = null;
  try {
    while (done < series.positions.length) {
      const name = `${series.set ?? 'images'}-${String(shards.length).padStart(6, '0')}.tar`;
      const at = o.at + done;
      const before = output.finished.get(name);
      if (before !== undefined && (await isAsNow(before, series.positions[done]!, o))) {
        await ahead?.close();
        ahead = null;
        copyColumns(before.columns, columns, at);
        shards.push(before.record);
        found += 1;
        o.onPacked(before.record.samples);
      } else {
        ahead ??= openSamples(series, done, o);
        const written = await writeShard(name, series.set, ahead, at, o);
        shards.push(written);
        const paths = Array.from(
          columns.position.subarray(at, at + written.samples),
          (position) => o.images.at(position)!.path,
        );
        await output.keep(
          { ...o.header, shards: [written] },
          sliceColumns(columns, at, at + written.samples),
          paths,
        );
      }
      done += shards.at(-1)!.samples;
    }
  } finally {
    await ahead?.close();
  }
  signal.throwIfAborted();
  return { shards, found };
}

function isAsNow({ record, columns }: FinishedShard, first: number, o: WriteOptions): Promise<boolean> {
  if (columns.position[0] !== first) return Promise.resolve(false);
  return o.output.holds(record, o.signal);
}

/** A sample as it stands in a shard. */
interface EncodedSample {
  readonly position: number;
  readonly image: PackedImage;
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  /** Where the image's bytes begin among the parts'. */
  readonly imageAt: number;
}

interface EncodedSamples {
  /** The next one, the same until it is taken; null at the end. */
  peek(): Promise<EncodedSample | null>;
  take(): void;
  close(): Promise<void>;
}

function openSamples({ positions, keys }: ShardSeries, from: number, o: WriteOptions): EncodedSamples {
  const pool = createDecodePool();
  const prepare = async (index: number): Promise<EncodedSample> => {
    o.signal.throwIfAborted();
    const position = positions[index]!;
    const source = o.images.at(position)!;
    const image = await encodeImage(await readSource(position, o), source, o, pool);
    const key = keys[index]!;
    const parts = await encodeFiles([
      { name: `${key}.${image.ending}`, bytes: image.bytes },
      { name: `${key}.cls`, bytes: Buffer.from(String(source.label)) },
    ]);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const imageAt = parts.slice(0, parts.indexOf(image.bytes)).reduce((sum, part) => sum + part.length, 0);
    return { position, image, parts, bytes, imageAt };
  };
  const indices = Array.from({ length: positions.length - from }, (_, index) => from + index);
  const ahead = readAhead(indices, prepare, {
    // Three bytes a pixel are more than any file that is worth reading ahead has.
    weigh: (index) => {
      const { width, height } = o.images.at(positions[index]!)!;
      return width * height * 3;
    },
    depth: imagesPerThread * threadPoolSize(),
    bytes: bytesInHand,
  });
  let next: EncodedSample | null | undefined;
  return {
    async peek() {
      if (next === undefined) {
        const { value } = await ahead.next();
        next = value ?? null;
      }
      return next;
    },
    take() {
      next = undefined;
    },
    async close() {
      await ahead.return();
    },
  };
}

async function readSource(
  position: number,
  { images, sets, sources, signal }: WriteOptions,
): Promise<Buffer> {
  const image = images.at(position)!;
  const source = sets[position] === 'valid' ? sources.valid : sources.train;
  try {
    return await source.read(image, signal);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = RondoError.from(error);
    const changed = code === 'failed-precondition';
    throw new RondoError(
      code,
      changed ? `image ${source.nameOf(image)} changed while it was packed` : message,
      {
        remedy: 'leave the images alone until they are packed; the same command looks at them anew',
        cause: error,
      },
    );
  }
}

async function writeShard(
  name: string,
  set: ShardSeries['set'],
  samples: EncodedSamples,
  at: number,
  { output, shardBytes, columns, images, signal, onPacked }: WriteOptions,
): Promise<ShardRecord> {
  const shard = await createShard(join(output.path, name), output.temporary);
  try {
    let count = 0;
    for (let next = await samples.peek(); next !== null; next = await samples.peek()) {
      signal.throwIfAborted();
      if (count > 0 && shard.bytes + next.bytes + endBytes > shardBytes) break;
      const { position, image, imageAt } = next;
      const to = at + count;
      columns.position[to] = position;
      columns.block[to] = (shard.bytes + imageAt) / blockBytes;
      columns.size[to] = image.bytes.length;
      columns.label[to] = images.at(position)!.label;
      columns.width[to] = image.width;
      columns.height[to] = image.height;
      columns.digest.set(image.digest, to * image.digest.length);
      await shard.append(next.parts);
      samples.take();
      count += 1;
      onPacked(1);
    }
    return { name, set, samples: count, ...(await shard.finish()) };
  } finally {
    await shard.discard();
  }
}
