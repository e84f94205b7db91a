import assert from 'node:assert/strict';
import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import type { Chunk, ExchangeRequest } from '../../../../proto/gen/peer.js';
import { createDeferred, type Deferred } from '../../../../runtime/deferred.js';
import { RondoError } from '../../../../runtime/errors.js';
import { requireCaller } from '../../../../runtime/grpc/caller.js';
import { releaseChunk } from '../../codec/wire-format.js';
import type { OutgoingChunk } from '../link.js';
import { type OutgoingSlot, type OutgoingSlots, openOutgoingSlots } from '../shared-memory/shared-slots.js';
import { findSlotFile } from '../shared-memory/slot-file.js';

export type Pull = ServerWritableStream<ExchangeRequest, Chunk>;

/** The half of a link that the successor pulls from: the serving side of one generation's exchange. */
export interface Outlet {
  readonly generation: bigint;
  /** Resolves when the successor pulls; rejects when the outlet fails or closes before. */
  readonly attached: Promise<void>;
  /** @throws RondoError when the pull is not the successor's, or not the first. */
  attach(pull: Pull): void;
  /** As Link's; known when attached. */
  readonly sharesMemory: boolean;
  takeSlot(bytes: number): OutgoingSlot | null;
  send(chunk: OutgoingChunk): Promise<void>;
  /**
   * Ends the successor's pull after what was sent; later sends are rejected with `error`. May be called
   * twice.
   */
  close(error: RondoError): void;
}

type State =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'attached'; readonly pull: Pull }
  | { readonly kind: 'ended'; readonly error: RondoError };

export function createOutlet(o: {
  generation: bigint;
  successor: number;
  /** In its certificate. */
  successorName: string;
  /** Where the successor's shared slots are looked for; null leaves payloads to gRPC. */
  sharedMemory: string | null;
  /** HOST:PORT of this process's further lanes, which the successor is told. */
  laneAddresses: readonly string[];
}): Outlet {
  const { generation, successor, successorName, sharedMemory, laneAddresses } = o;
  let state: State = { kind: 'waiting' };
  const attached = createDeferred<void>();
  attached.promise.catch(() => {});
  /** What sends wait for while the stream's buffer is full. */
  let drained: Deferred<void> | null = null;
  let slots: OutgoingSlots | null = null;

  const end = (error: RondoError) => {
    slots?.close(error);
    state = { kind: 'ended', error };
    attached.reject(error);
    drained?.reject(error);
    drained = null;
  };

  return {
    generation,
    attached: attached.promise,
    attach(pull) {
      if (state.kind === 'ended') throw state.error;
      requireCaller(pull, successorName, `rank ${successor} of generation ${generation}`);
      const { rank } = pull.request;
      if (rank !== successor || state.kind === 'attached') {
        const why = rank === successor ? 'pulls already' : `is not its successor, rank ${successor}`;
        throw new RondoError('failed-precondition', `rank ${rank} of generation ${generation} ${why}`);
      }
      state = { kind: 'attached', pull };
      pull.on('drain', () => {
        drained?.resolve();
        drained = null;
      });
      pull.on('cancelled', () => {
        if (state.kind !== 'attached') return;
        const text = `rank ${successor} at ${pull.getPeer()} no longer pulls in generation ${generation}`;
        end(new RondoError('unavailable', text));
      });
      slots = findSlots(pull, sharedMemory);
      const metadata = new Metadata();
      if (slots !== null) metadata.set('rondo-slots', 'open');
      for (const address of laneAddresses) metadata.add('rondo-lane', address);
      pull.sendMetadata(metadata);
      attached.resolve();
    },
    get sharesMemory() {
      return slots !== null;
    },
    takeSlot: (bytes) => slots?.take(bytes) ?? null,
    send(chunk) {
      if (state.kind === 'ended') return Promise.reject(state.error);
      assert(state.kind === 'attached', 'nothing is sent before the successor pulls');
      const onWritten = (error: Error | null | undefined) => {
        if (!error && 'frame' in chunk) releaseChunk(chunk);
      };
      if (state.pull.write(chunk, onWritten)) return Promise.resolve();
      drained ??= createDeferred<void>();
      return drained.promise;
    },
    close(error) {
      if (state.kind === 'ended') return;
      if (state.kind === 'attached') state.pull.end();
      end(error);
    },
  };
}

function findSlots(pull: Pull, directory: string | null): OutgoingSlots | null {
  const offer = pull.request.slots;
  if (directory === null || offer === undefined) return null;
  const fd = findSlotFile(directory, offer);
  return fd === null ? null : openOutgoingSlots(fd, offer);
}
