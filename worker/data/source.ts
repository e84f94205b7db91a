import type { Dataset } from '../../proto/dataset.js';
import { RondoError } from '../../runtime/errors.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { openSampleReader, type SampleReaderOptions } from '../../runtime/storage/sample-reader.js';
import type { ExpectedShards } from '../../runtime/storage/whole-shards.js';

export type Split = 'train' | 'valid';

/** Where samples' bytes come from. */
export interface Source {
  /**
   * The bytes of one sample, which are those that its digest stands for. Rejects with RondoError, naming it,
   * and when the signal comes.
   */
  read(split: Split, id: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Which shards (positions in the data set's) training reads from now on. Where shards are fetched whole, these are. */
  expect?(shards: ExpectedShards<number>): void;
  /** The name of one sample for messages. */
  name(split: Split, id: number): string;
  close(): Promise<void>;
}

/** Reads a data set's samples from where it says that they are: a folder, or shards. */
export function openSource(dataset: Dataset, o: SampleReaderOptions = {}): Source {
  const shards = dataset.shards?.shards ?? [];
  const { access, root, validRoot } = dataset;
  const train = openSampleReader(access ?? root, shards, o);
  // Validation goes through its images in an order of its own, which no shard is used up by.
  const { wholeShards, ...parts } = o;
  const valid =
    validRoot === undefined && !wholeShards
      ? train
      : openSampleReader(validRoot ?? access ?? root, shards, parts);
  const readers = { train, valid };
  const sampleOf = (split: Split, id: number): Sample => {
    const sample = dataset[split].at(id);
    if (sample !== undefined) return sample;
    throw new RondoError('invalid-argument', `the ${split} set has no sample ${id}`, {
      remedy: `ids run from 0 to ${dataset[split].length - 1}`,
    });
  };
  return {
    expect: (expected) => train.expect(expected),
    name: (split, id) => readers[split].nameOf(sampleOf(split, id)),
    // An error of `sampleOf` is a rejection too.
    read: async (split, id, signal) => readers[split].read(sampleOf(split, id), signal),
    async close() {
      await train.close();
      if (valid !== train) await valid.close();
    },
  };
}
