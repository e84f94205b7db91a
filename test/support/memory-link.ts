import assert from 'node:assert/strict';
import {
  deserializeChunk,
  type FramedChunk,
  serializeChunk,
} from '../../worker/collective/codec/wire-format.js';
import type { Link } from '../../worker/collective/transport/link.js';

/** What a link does to a chunk on its way: null loses it. */
export type Fault = (chunk: FramedChunk, sent: number) => FramedChunk | null;

export interface MemoryLink extends Link {
  /** As a broken stream does: both directions reject with `error`. */
  fail(error: Error): void;
}

/**
 * The links of a ring in memory. Chunks pass through the real wire format, into memory of their own.
 * `capacity` is how many chunks a link holds before send waits; `delayMs` is drawn for every chunk.
 */
export function createMemoryRing(
  worldSize: number,
  o: {
    sharesMemory?: boolean;
    capacity?: number;
    delayMs?: () => number;
    faults?: ReadonlyMap<number, Fault>;
  } = {},
): MemoryLink[] {
  const pipes = Array.from({ length: worldSize }, (_, rank) =>
    createPipe(o.capacity ?? 1, o.delayMs, o.faults?.get(rank)),
  );
  return pipes.map((outgoing, rank) => {
    const incoming = pipes[(rank + worldSize - 1) % worldSize];
    const fail = (error: Error) => {
      outgoing.fail(error);
      incoming.fail(error);
    };
    return {
      predecessorLanes: [],
      sharesMemory: o.sharesMemory ?? false,
      takeSlot: () => null,
      send: outgoing.send,
      receive: incoming.receive,
      close: () => fail(new Error(`rank ${rank} closed its link`)),
      fail,
    };
  });
}

function createPipe(capacity: number, delayMs?: () => number, fault?: Fault) {
  const held: FramedChunk[] = [];
  const senders: { accept: () => void; reject: (error: Error) => void }[] = [];
  let receiver: { resolve: (chunk: FramedChunk) => void; reject: (error: Error) => void } | null = null;
  let broken: Error | null = null;
  let sent = 0;
  let last = Promise.resolve();

  const deliver = (bytes: Buffer) => {
    const original = deserializeChunk(bytes);
    assert('frame' in original);
    const chunk = fault === undefined ? original : fault(original, sent);
    sent += 1;
    if (chunk === null) return;
    if (receiver === null) {
      held.push(chunk);
      return;
    }
    receiver.resolve(chunk);
    receiver = null;
  };
  const admit = () => {
    while (held.length < capacity && senders.length > 0) senders.shift()?.accept();
  };

  return {
    send(chunk: FramedChunk): Promise<void> {
      if (broken !== null) return Promise.reject(broken);
      const bytes = transferBytes(serializeChunk(chunk));
      chunk.frame.fill(0xff);
      const admitted = new Promise<void>((resolve, reject) => {
        senders.push({ accept: resolve, reject });
      });
      const delay = delayMs?.();
      const transit = last.then(() => (delay === undefined ? undefined : sleep(delay)));
      last = transit.then(() => deliver(bytes)).then(admit);
      admit();
      return admitted;
    },
    receive(): Promise<FramedChunk> {
      const chunk = held.shift();
      admit();
      if (chunk !== undefined) return Promise.resolve(chunk);
      if (broken !== null) return Promise.reject(broken);
      return new Promise((resolve, reject) => {
        receiver = { resolve, reject };
      });
    },
    fail(error: Error) {
      broken = error;
      for (const sender of senders.splice(0)) sender.reject(error);
      receiver?.reject(error);
      receiver = null;
    },
  };
}

/** As gRPC hands a message out: behind 5 bytes of its own. */
function transferBytes(message: Buffer): Buffer {
  const received = Buffer.allocUnsafeSlow(5 + message.byteLength).subarray(5);
  received.set(message);
  return received;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
