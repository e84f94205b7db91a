import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { type Dataset, encodeDataset } from '../../proto/dataset.js';
import type { CoordinatorServer, FileChunk, StateChunk } from '../../proto/gen/coordinator.js';
import { startWatchdog } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { failCall } from '../../runtime/grpc/server.js';
import { accessUrl } from '../../runtime/storage/url-access.js';
import { openSampleStore } from './samples.js';

const fileChunkBytes = 1 << 20;

/** What workers fetch from the coordinator. */
export interface TransferSources {
  readonly dataset: Dataset;
  readonly pretrainedPath: string | null;
  checkpoint(step: number): AsyncIterable<StateChunk>;
}

export interface Transfers
  extends Pick<
    CoordinatorServer,
    'fetchDataset' | 'fetchPretrained' | 'fetchCheckpoint' | 'fetchSamples' | 'verifyImages'
  > {}

/**
 * The handlers of everything that is large, each on a call of its own, none faster than its reader.
 *
 * @param stallMs a transfer whose reader takes nothing for so long is ended.
 */
export function createTransfers(sources: TransferSources, stallMs: number): Transfers {
  const samples = openSampleStore(sources.dataset);
  return {
    fetchDataset(call) {
      const { root } = sources.dataset;
      const access = accessUrl(root);
      const dataset = access === root ? sources.dataset : { ...sources.dataset, access };
      void pour(call, encodeDataset(dataset), stallMs);
    },
    // The data set is known.
    verifyImages: (call) => call.end(),
    fetchPretrained(call) {
      void pour(call, readFileChunks(sources.pretrainedPath), stallMs);
    },
    fetchSamples(call) {
      void pour(call, samples.read(call.request), stallMs);
    },
    fetchCheckpoint(call) {
      void pour(call, sources.checkpoint(Number(call.request.step)), stallMs);
    },
  };
}

async function* readFileChunks(path: string | null): AsyncIterable<FileChunk> {
  if (path === null) throw new RondoError('not-found', 'this run has no pretrained weights');
  for await (const data of createReadStream(path, { highWaterMark: fileChunkBytes })) {
    yield { data: data as Buffer };
  }
}

/** Writes every message and ends the call; an error of either side ends it with that error's status. */
async function pour<Request, Message>(
  call: ServerWritableStream<Request, Message>,
  messages: AsyncIterable<Message> | Iterable<Message>,
  stallMs: number,
): Promise<void> {
  const ended = new AbortController();
  const watchdog = startWatchdog(stallMs, () =>
    ended.abort(new RondoError('deadline-exceeded', `the reader took nothing for ${stallMs / 1_000} s`)),
  );
  const cancel = () => ended.abort(new RondoError('cancelled', 'the reader went away'));
  call.on('cancelled', cancel);
  try {
    for await (const message of messages) {
      ended.signal.throwIfAborted();
      if (!call.write(message)) await once(call, 'drain', { signal: ended.signal });
      watchdog.touch();
    }
    call.end();
  } catch (error) {
    failCall(call, ended.signal.aborted ? ended.signal.reason : error);
  } finally {
    watchdog.stop();
    call.removeListener('cancelled', cancel);
  }
}
