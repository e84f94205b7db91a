import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import {
  type ClientReadableStream,
  type Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { PeerClient, RingKind } from '../../../../proto/gen/peer.js';
import { createDeferred, type Deferred } from '../../../../runtime/deferred.js';
import { RondoError } from '../../../../runtime/errors.js';
import { type ClientClass, openChannel } from '../../../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../../../runtime/grpc/credentials.js';
import { openDataConnection } from '../../../../runtime/grpc/data-connection.js';
import { type ChunkInSlot, type FramedChunk, peerService } from '../../codec/wire-format.js';
import { chunkBytes } from '../../geometry.js';
import type { IncomingChunk } from '../link.js';
import { openIncomingSlots } from '../shared-memory/shared-slots.js';
import { makeSlotFile, type SlotShape } from '../shared-memory/slot-file.js';
import { createChunkReader } from './chunk-reader.js';

/** The half of a link that pulls from the predecessor: the client side of one generation's exchange. */
export interface Inlet {
  /**
   * Resolves to the predecessor's further lanes when it has taken the pull; rejects when it refuses, is gone,
   * or the inlet closes.
   */
  readonly accepted: Promise<readonly string[]>;
  receive(): Promise<IncomingChunk>;
  /** Waiting and later receives are rejected with `error`. May be called twice. */
  close(error: RondoError): void;
}

const Client = makeGenericClientConstructor(
  peerService,
  'rondo.peer.v1.Peer',
) as unknown as ClientClass<PeerClient>;

/** Chunks held here before the stream is paused, and when it goes on. */
const pauseAt = 16;
const resumeAt = 8;

/** What a predecessor answers when it refuses; any other status means that it is gone. */
const refusals: readonly number[] = [
  status.ABORTED,
  status.FAILED_PRECONDITION,
  status.DEADLINE_EXCEEDED,
  status.INVALID_ARGUMENT,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
];

export function openInlet(o: {
  credentials: RunCredentials;
  generation: bigint;
  ring: RingKind;
  rank: number;
  predecessor: number;
  address: string;
  /** The predecessor's, in its certificate. */
  name: string;
  /** Shared slots to offer, and the directory to make them in; null leaves payloads to gRPC. */
  slots: (SlotShape & { directory: string }) | null;
  /** Other payloads come over a data connection, not by gRPC. */
  dataConnection: boolean;
}): Inlet {
  const accepted = createDeferred<readonly string[]>();
  accepted.promise.catch(() => {});
  const arrived: IncomingChunk[] = [];
  let waiting: Deferred<IncomingChunk> | null = null;
  let ended: RondoError | null = null;
  const file = o.slots && makeSlotFile(o.slots.directory, o.slots);
  const slots = file && openIncomingSlots(file.fd, file.offer);

  const client = openChannel(Client, o.address, {
    credentials: o.credentials,
    peer: o.name,
    maxReceiveBytes: 2 * chunkBytes,
  });
  const pull = client.exchange({
    ...{ generation: o.generation, ring: o.ring, rank: o.rank },
    slots: file?.offer,
    dataConnection: o.dataConnection,
  }) as ClientReadableStream<FramedChunk | ChunkInSlot>;
  let data: Socket | null = null;

  const end = (error: RondoError) => {
    if (ended !== null) return;
    ended = error;
    file?.unlink();
    accepted.reject(error);
    waiting?.reject(error);
    waiting = null;
    pull.cancel();
    client.close();
    data?.destroy();
  };
  const name = `rank ${o.predecessor} at ${o.address}`;

  pull.on('metadata', (metadata: Metadata) => {
    file?.unlink();
    if (metadata.get('rondo-slots')[0] !== 'open') {
      slots?.close(new RondoError('data-loss', `${name} put a chunk in shared memory that it had not taken`));
    }
    // grpc-js joins what came more than once.
    const lanes = metadata.get('rondo-lane').flatMap((value) => String(value).split(', '));
    const [ticket] = metadata.get('rondo-ticket-bin');
    if (ticket === undefined || ended !== null) return accepted.resolve(lanes);
    data = openData(Buffer.from(ticket), () => accepted.resolve(lanes));
  });
  const arrive = (chunk: IncomingChunk) => {
    if (waiting !== null) {
      waiting.resolve(chunk);
      waiting = null;
      return;
    }
    arrived.push(chunk);
    if (arrived.length >= pauseAt) (data ?? pull).pause();
  };
  const openData = (ticket: Buffer, onConnected: () => void): Socket => {
    const reader = createChunkReader();
    const callback = (bytes: number): boolean => {
      try {
        const chunk = reader.filled(bytes);
        if (chunk !== null && ended === null) arrive(chunk);
      } catch (error) {
        end(RondoError.from(error));
      }
      return true;
    };
    const proof = o.credentials.channel(o.name);
    const onread = { buffer: reader.room, callback };
    const socket = openDataConnection(o.address, { proof, ticket, onread, onConnected });
    let broken: Error | null = null;
    socket.on('error', (error) => {
      broken = error;
    });
    socket.on('close', () => {
      const how = broken === null ? 'ended its exchange of' : 'is gone in';
      const why = broken === null ? '' : `: ${broken.message}`;
      end(
        new RondoError('unavailable', `${name} ${how} generation ${o.generation}${why}`, { cause: broken }),
      );
    });
    return socket;
  };
  pull.on('data', (chunk: FramedChunk | ChunkInSlot) => {
    if ('frame' in chunk) return arrive(chunk);
    if (slots === null) return end(new RondoError('data-loss', `${name} named a slot where none is`));
    try {
      arrive(Object.assign(chunk, { room: slots.open(chunk.slot) }));
    } catch (error) {
      end(RondoError.from(error));
    }
  });
  pull.on('error', (error: ServiceError) => end(explain(error, name, o.generation)));
  pull.on('end', () => {
    // What was sent may still be on its way there.
    if (data !== null) return;
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
        const source = data ?? pull;
        if (arrived.length <= resumeAt && source.isPaused()) source.resume();
        return Promise.resolve(chunk);
      }
      if (ended !== null) return Promise.reject(ended);
      waiting = createDeferred<IncomingChunk>();
      return waiting.promise;
    },
    close(error) {
      arrived.length = 0;
      end(error);
      slots?.close(error);
    },
  };
}

function explain(error: ServiceError, name: string, generation: bigint): RondoError {
  const cause = { cause: error };
  if (refusals.includes(error.code)) {
    const text = `${name} refused the exchange of generation ${generation}: ${error.details}`;
    const { code, remedy } = RondoError.from(error);
    return new RondoError(code, text, { ...cause, remedy });
  }
  return new RondoError(
    'unavailable',
    `${name} is gone in generation ${generation}: ${error.details}`,
    cause,
  );
}
