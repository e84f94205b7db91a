import assert from 'node:assert/strict';
import {
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { PeerClient } from '../../proto/gen/peer.js';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { chunkBytes } from './ring.js';
import { type FramedChunk, peerService } from './wire-format.js';

/** The half of a link that pulls from the predecessor: the client side of one generation's exchange. */
export interface Inlet {
  /** Resolves when the predecessor has taken the pull; rejects when it refuses, is gone, or the inlet closes. */
  readonly accepted: Promise<void>;
  receive(): Promise<FramedChunk>;
  /** Waiting and later receives are rejected with `error`. May be called twice. */
  close(error: RondoError): void;
}

const Client = makeGenericClientConstructor(peerService, 'rondo.peer.v1.Peer') as unknown as new (
  ...args: ConstructorParameters<typeof import('../../proto/gen/peer.js').PeerClient>
) => PeerClient;

const channelOptions = {
  // The default of 64 KiB lets little of a chunk through per round trip.
  'grpc-node.flow_control_window': 8 * 1024 * 1024,
  'grpc.max_receive_message_length': 2 * chunkBytes,
  // A replayed stream would send chunks twice.
  'grpc.enable_retries': 0,
  // One connection per generation: closing the client closes it.
  'grpc.use_local_subchannel_pool': 1,
};

/** Chunks held here before the stream is paused, and when it goes on. */
const pauseAt = 16;
const resumeAt = 8;

/** What a predecessor answers when it refuses; any other status means that it is gone. */
const refusals: readonly number[] = [
  status.ABORTED,
  status.FAILED_PRECONDITION,
  status.DEADLINE_EXCEEDED,
  status.INVALID_ARGUMENT,
];

export function openInlet(o: {
  generation: bigint;
  rank: number;
  predecessor: number;
  address: string;
}): Inlet {
  const accepted = createDeferred<void>();
  accepted.promise.catch(() => {});
  const arrived: FramedChunk[] = [];
  let waiting: Deferred<FramedChunk> | null = null;
  let ended: RondoError | null = null;

  const client = new Client(o.address, credentials.createInsecure(), channelOptions);
  const pull = client.exchange({
    generation: o.generation,
    rank: o.rank,
  }) as ClientReadableStream<FramedChunk>;

  const end = (error: RondoError) => {
    if (ended !== null) return;
    ended = error;
    accepted.reject(error);
    waiting?.reject(error);
    waiting = null;
    pull.cancel();
    client.close();
  };
  const name = `rank ${o.predecessor} at ${o.address}`;

  pull.on('metadata', () => accepted.resolve());
  pull.on('data', (chunk: FramedChunk) => {
    if (waiting !== null) {
      waiting.resolve(chunk);
      waiting = null;
      return;
    }
    arrived.push(chunk);
    if (arrived.length >= pauseAt) pull.pause();
  });
  pull.on('error', (error: ServiceError) => end(explain(error, name, o.generation)));
  pull.on('end', () => {
    // An error follows the end within the same tick, and says more.
    setImmediate(() =>
      end(new RondoError('unavailable', `${name} ended its exchange of generation ${o.generation}`)),
    );
  });

  return {
    accepted: accepted.promise,
    receive() {
      assert(waiting === null, 'one receive at a time');
      const chunk = arrived.shift();
      if (chunk !== undefined) {
        if (arrived.length <= resumeAt && pull.isPaused()) pull.resume();
        return Promise.resolve(chunk);
      }
      if (ended !== null) return Promise.reject(ended);
      waiting = createDeferred<FramedChunk>();
      return waiting.promise;
    },
    close(error) {
      arrived.length = 0;
      end(error);
    },
  };
}

function explain(error: ServiceError, name: string, generation: bigint): RondoError {
  const cause = { cause: error };
  if (refusals.includes(error.code)) {
    const text = `${name} refused the exchange of generation ${generation}: ${error.details}`;
    return new RondoError(RondoError.from(error).code, text, cause);
  }
  return new RondoError(
    'unavailable',
    `${name} is gone in generation ${generation}: ${error.details}`,
    cause,
  );
}
