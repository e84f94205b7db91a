import { RondoError } from '../../runtime/errors.js';
import { installation } from '../../runtime/installation.js';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import { isUrl } from '../../runtime/storage/store.js';
import { digestSamples } from '../dataset/digest.js';
import type { IndexedImages } from '../dataset/indexed-images.js';
import { allocateColumns, encodeIndex, type ShardRecord } from '../dataset/shard-index.js';
import { writeCard } from './card.js';
import { nameSamples } from './keys.js';
import { orderSamples } from './order.js';
import { openBucketOutput } from './output-bucket.js';
import { openOutput } from './output-folder.js';
import { type PackOptions, planPack } from './plan.js';
import { type ShardSeries, writeSeries } from './write-shards.js';

export interface PackRequest extends PackOptions {
  readonly images: IndexedImages;
  /** The folder that takes the shards, which is made; or s3://…. */
  readonly out: string;
  onProgress(done: number, total: number): void;
  /** Of Rondo, where --out is a bucket; its usual one unless given. */
  readonly cacheDir?: string;
  /** Told when a server is waited for. */
  warn?(message: string): void;
  readonly signal: AbortSignal;
}

export interface PackResult {
  readonly shards: readonly ShardRecord[];
  /** How many of them an earlier call had written. */
  readonly found: number;
}

/**
 * Packs a data set into tar shards that WebDataset reads, with an index and a card. The bytes depend on the
 * images and the options alone. What was finished before an earlier call ended, however it did, stays as it
 * is. Throws RondoError with a remedy; `cancelled` when the signal comes.
 */
export async function packImages(o: PackRequest): Promise<PackResult> {
  const { root, validRoot, shards: sourceShards, classes, images, sets, validation } = o.images;
  // What comes before the first shard takes seconds where there are a million images.
  o.onProgress(0, images.length);
  const isValid = (position: number) => validation !== null && sets[position] === 'valid';
  const positions = Array.from({ length: images.length }, (_, position) => position);
  const digest = digestSamples(classes, images, validation ? positions.filter(isValid) : undefined);
  const plan = planPack(o, { digest, count: images.length });
  const series = validation
    ? [
        orderSeries(
          'train',
          positions.filter((position) => !isValid(position)),
          o,
        ),
        orderSeries('valid', positions.filter(isValid), o),
      ]
    : [orderSeries(null, positions, o)];
  const sources = {
    train: openSampleReader(root, sourceShards),
    valid: openSampleReader(validRoot, sourceShards),
  };
  const output = isUrl(o.out)
    ? await openBucketOutput(o.out, plan, { ...o, cacheDir: o.cacheDir ?? installation().cacheDir })
    : await openOutput(o.out, plan);
  const columns = allocateColumns(images.length);
  const header = { plan, classes: [...classes], validation: validation?.source ?? null };
  const shards: ShardRecord[] = [];
  let [done, found] = [0, 0];
  try {
    for (const part of series) {
      const at = shards.reduce((sum, shard) => sum + shard.samples, 0);
      const written = await writeSeries(part, {
        ...{ images, sets, sources, output, header, columns, at },
        ...{ shardBytes: o.shardBytes, resize: o.resize, quality: o.quality, signal: o.signal },
        onPacked(samples) {
          done += samples;
          o.onProgress(done, images.length);
        },
      });
      for (const shard of written.shards) shards.push(shard);
      found += written.found;
    }
    if (!output.whole || found < shards.length) {
      const whole = { ...header, shards };
      const paths = Array.from(columns.position, (position) => images.at(position)!.path);
      await output.complete(writeCard(whole, columns), encodeIndex(whole, columns, paths));
    }
    await output.tidy();
    return { shards, found };
  } catch (error) {
    throw sayHowToGoOn(error, o.signal);
  } finally {
    await output.close();
    await Promise.all([sources.train.close(), sources.valid.close()]);
  }
}

function orderSeries(set: ShardSeries['set'], members: readonly number[], o: PackRequest): ShardSeries {
  const { images } = o.images;
  const labels = Uint32Array.from(members, (position) => images.at(position)!.label);
  const positions = orderSamples(o.order, labels, o.seed).map((index) => members[index]!);
  const listed = Array.from(positions);
  const keys = nameSamples(
    o.keys,
    listed.map((position) => images.at(position)!.path),
    listed,
  );
  return { set, positions, keys };
}

/** What a person should know of an end that can be made good. */
function sayHowToGoOn(thrown: unknown, signal: AbortSignal): RondoError {
  const cause = signal.aborted ? signal.reason : thrown;
  const { code, message, remedy } = RondoError.from(cause);
  const goOn = 'the same command goes on after the shards that are finished';
  if (code === 'cancelled') return new RondoError(code, message, { remedy: goOn, cause });
  if (code !== 'resource-exhausted') return RondoError.from(cause);
  return new RondoError(code, message, { remedy: `${remedy}; then ${goOn}`, cause });
}
