import assert from 'node:assert/strict';
import { closeSync, readSync, writeSync } from 'node:fs';
import { RondoError } from '../../../../runtime/errors.js';
import { headBytes, nonceBytes, type SlotShape } from './slot-file.js';

/**
 * Payloads in slots of a file that two processes have open. They are copied with read and write, which run at
 * memory's speed, allow any address, and cannot fault when somebody cuts the file short.
 *
 * Only the receiver writes to the head: how often it has read each slot, mod 256. The sender counts how often
 * it has taken each, and a slot is free when both say the same.
 */
export interface OutgoingSlot {
  readonly index: number;
  write(at: number, bytes: Uint8Array): void;
}

export interface IncomingSlot {
  /**
   * Fills `into` from byte `at` of the slot. @throws RondoError `data-loss` when the slot does not hold as
   * much.
   */
  read(at: number, into: Uint8Array): void;
  /** Gives the slot back to the sender. */
  release(): void;
}

export interface OutgoingSlots {
  /** A free slot for `bytes` bytes, or null when there is none. */
  take(bytes: number): OutgoingSlot | null;
  /** Writing to a slot throws `error` from here on. May be called twice. */
  close(error: RondoError): void;
}

export interface IncomingSlots {
  /** @throws RondoError `data-loss` when there is no such slot. */
  open(index: number): IncomingSlot;
  /** Reading from a slot throws `error` from here on. May be called twice. */
  close(error: RondoError): void;
}

/** Owns `fd`. */
export function openOutgoingSlots(fd: number, { slotCount, slotBytes }: SlotShape): OutgoingSlots {
  const taken = new Uint8Array(slotCount);
  const read = new Uint8Array(slotCount);
  let closed: RondoError | null = null;
  return {
    take(bytes) {
      if (closed !== null || bytes > slotBytes) return null;
      readSync(fd, read, 0, slotCount, nonceBytes);
      // The first, not the next: what was used last is still in the processor's cache.
      const index = taken.findIndex((count, slot) => count === read[slot]);
      if (index < 0) return null;
      taken[index] += 1;
      return {
        index,
        write(at, piece) {
          if (closed !== null) throw closed;
          assert(at + piece.byteLength <= slotBytes, `slot ${index} is too small`);
          const written = writeSync(fd, piece, 0, piece.byteLength, headBytes + index * slotBytes + at);
          if (written !== piece.byteLength) throw damaged();
        },
      };
    },
    close(error) {
      if (closed === null) closeSync(fd);
      closed ??= error;
    },
  };
}

/** Owns `fd`. */
export function openIncomingSlots(fd: number, { slotCount, slotBytes }: SlotShape): IncomingSlots {
  const read = new Uint8Array(slotCount);
  let closed: RondoError | null = null;
  return {
    open(index) {
      if (closed !== null) throw closed;
      if (index >= slotCount) throw damaged();
      return {
        read(at, into) {
          if (closed !== null) throw closed;
          const bytes = Math.min(into.byteLength, slotBytes - at);
          const start = headBytes + index * slotBytes + at;
          if (readSync(fd, into, 0, bytes, start) !== into.byteLength) throw damaged();
        },
        release() {
          read[index] += 1;
          if (closed === null) writeSync(fd, read, index, 1, nonceBytes + index);
        },
      };
    },
    close(error) {
      if (closed === null) closeSync(fd);
      closed ??= error;
    },
  };
}

function damaged(): RondoError {
  return new RondoError('data-loss', 'the memory shared with a neighbour is not as it was agreed', {
    remedy: 'All workers of a run must have the same version.',
  });
}
