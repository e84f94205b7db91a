import assert from 'node:assert/strict';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import type { Chunk, ExchangeRequest } from '../../../../proto/gen/peer.js';
import { createDeferred, type Deferred } from '../../../../runtime/deferred.js';
import { RondoError } from '../../../../runtime/errors.js';
import { requireCaller, requireName } from '../../../../runtime/grpc/caller.js';
import { ticketBytes } from '../../../../runtime/grpc/data-connection.js';
import { releaseChunk, serializeChunk } from '../../codec/wire-format.js';
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
  /** Whether this is the ticket of a pull that waits for its data connection: it holds once. */
  awaits(ticket: Buffer): boolean;
  /**
   * The successor's data connection, where its pull wants one and there are no slots; the ticket is right. @throws
   * RondoError when the caller is not the successor.
   */
  connect(socket: Socket, caller: string | null): void;
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
  | {
      readonly kind: 'attached';
      readonly pull: Pull;
      readonly ticket: Buffer | null;
      readonly data: Socket | null;
    }
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
  const onDrain = () => {
    drained?.resolve();
    drained = null;
  };
  const whose = `rank ${successor} of generation ${generation}`;
  let slots: OutgoingSlots | null = null;

  const end = (error: RondoError) => {
    slots?.close(error);
    state = { kind: 'ended', error };
    attached.reject(error);
    drained?.reject(error);
    drained = null;
  };

  const detach = (pull: Pull) => {
    if (state.kind !== 'attached') return;
    const text = `rank ${successor} at ${pull.getPeer()} no longer pulls in generation ${generation}`;
    end(new RondoError('unavailable', text));
    pull.end();
  };

  return {
    generation,
    attached: attached.promise,
    attach(pull) {
      if (state.kind === 'ended') throw state.error;
      requireCaller(pull, successorName, whose);
      const { rank } = pull.request;
      if (rank !== successor || state.kind === 'attached') {
        const why = rank === successor ? 'pulls already' : `is not its successor, rank ${successor}`;
        throw new RondoError('failed-precondition', `rank ${rank} of generation ${generation} ${why}`);
      }
      slots = findSlots(pull, sharedMemory);
      const ticket = pull.request.dataConnection && slots === null ? randomBytes(ticketBytes) : null;
      state = { kind: 'attached', pull, ticket, data: null };
      pull.on('drain', onDrain);
      pull.on('cancelled', () => detach(pull));
      const metadata = new Metadata();
      if (ticket !== null) metadata.set('rondo-ticket-bin', ticket);
      if (slots !== null) metadata.set('rondo-slots', 'open');
      for (const address of laneAddresses) metadata.add('rondo-lane', address);
      pull.sendMetadata(metadata);
      if (ticket === null) attached.resolve();
    },
    awaits: (ticket) => state.kind === 'attached' && state.ticket !== null && isSame(ticket, state.ticket),
    connect(socket, caller) {
      assert(state.kind === 'attached', 'who brings a ticket has pulled');
      requireName(caller, successorName, whose);
      const { pull } = state;
      state = { kind: 'attached', pull, ticket: null, data: socket };
      socket.on('drain', onDrain);
      socket.on('close', () => detach(pull));
      pull.on('cancelled', () => socket.destroy());
      // Nothing is said there; only so is its end seen.
      socket.resume();
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
      const { pull, data } = state;
      const hasRoom =
        data === null ? pull.write(chunk, onWritten) : data.write(serializeChunk(chunk), onWritten);
      if (hasRoom) return Promise.resolve();
      drained ??= createDeferred<void>();
      return drained.promise;
    },
    close(error) {
      if (state.kind === 'ended') return;
      if (state.kind === 'attached') {
        state.data?.end();
        state.pull.end();
      }
      end(error);
    },
  };
}

function isSame(one: Buffer, other: Buffer): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}

function findSlots(pull: Pull, directory: string | null): OutgoingSlots | null {
  const offer = pull.request.slots;
  if (directory === null || offer === undefined) return null;
  const fd = findSlotFile(directory, offer);
  return fd === null ? null : openOutgoingSlots(fd, offer);
}
