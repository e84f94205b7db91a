import type { ChunkInSlot, FramedChunk } from '../codec/wire-format.js';
import type { IncomingSlot, OutgoingSlot } from './shared-memory/shared-slots.js';

/** A chunk whose payload lies in memory shared with a neighbour. */
export interface SlottedChunk<Slot> extends ChunkInSlot {
  readonly room: Slot;
}

export type IncomingChunk = FramedChunk | SlottedChunk<IncomingSlot>;
export type OutgoingChunk = FramedChunk | SlottedChunk<OutgoingSlot>;

/** One rank's place in the ring: chunks go to its successor and come from its predecessor, in order. */
export interface Link {
  /** Where the predecessor's further lanes are pulled from: HOST:PORT, in order. */
  readonly predecessorLanes: readonly string[];
  /** Whether the successor is a process of this machine, so that payloads may pass through memory. */
  readonly sharesMemory: boolean;
  /**
   * Room for a payload of `bytes` bytes where the successor reads it; null when there is none, and the chunk
   * needs a frame.
   */
  takeSlot(bytes: number): OutgoingSlot | null;
  /**
   * Resolves when the link can take more; may be called before it has, and chunks then leave in the order of
   * the calls. The chunk belongs to the link from here on.
   */
  send(chunk: OutgoingChunk): Promise<void>;
  /** The next chunk, which belongs to the caller. One call at a time. */
  receive(): Promise<IncomingChunk>;
  /** What was sent still leaves; whatever waits is rejected. May be called twice. */
  close(): void;
}
