import type { Dataset } from '../../proto/dataset.js';
import type { FetchSamplesRequest, SampleChunk } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { openSampleReader, type SampleReader } from '../../runtime/storage/sample-reader.js';

const chunkBytes = 1 << 20;
/** More are refused: a worker asks for what one step needs. */
const mostIds = 1024;

/** The data set's files, for workers that do not have them. */
export interface SampleStore {
  /** The samples that are asked for, in that order, each in pieces. @throws RondoError as `SampleReader.read`. */
  read(request: FetchSamplesRequest): AsyncGenerator<SampleChunk>;
  close(): Promise<void>;
}

/** Opens the folders, or shards, of `dataset` when the first sample is asked for. */
export function openSampleStore(dataset: Dataset): SampleStore {
  const readers = new Map<string, SampleReader>();
  const readerOf = (valid: boolean): SampleReader => {
    const root = valid ? (dataset.validRoot ?? dataset.root) : dataset.root;
    const reader = readers.get(root) ?? openSampleReader(root, dataset.shards?.shards ?? []);
    readers.set(root, reader);
    return reader;
  };
  return {
    async *read({ valid, ids }) {
      if (ids.length > mostIds) {
        throw new RondoError('invalid-argument', `${ids.length} samples at once, more than ${mostIds}`);
      }
      const samples = valid ? dataset.valid : dataset.train;
      for (const id of ids) {
        const sample = samples.at(id);
        if (sample === undefined) throw new RondoError('invalid-argument', `there is no sample ${id}`);
        const bytes = await readerOf(valid).read(sample);
        let start = 0;
        do {
          const end = Math.min(start + chunkBytes, bytes.length);
          yield { data: bytes.subarray(start, end), last: end === bytes.length };
          start = end;
        } while (start < bytes.length);
      }
    },
    async close() {
      for (const reader of readers.values()) await reader.close();
    },
  };
}
