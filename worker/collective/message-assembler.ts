import { RondoError } from '../../runtime/errors.js';
import { grpcPrefixBytes, takeFrame } from './frame-pool.js';
import { deserializeChunk, type FramedChunk } from './wire-format.js';

/**
 * Puts gRPC's length-prefixed messages together from a byte stream that is cut anywhere, each in memory of its own from
 * the frame pool: one copy, into memory that was written before.
 *
 * @throws RondoError `data-loss` for a compressed message or one longer than `maxBytes`.
 */
export function createMessageAssembler(o: {
  readonly maxBytes: number;
  onMessage(chunk: FramedChunk): void;
}): (bytes: Buffer) => void {
  const prefix = Buffer.alloc(grpcPrefixBytes);
  let prefixLength = 0;
  let message: Buffer | null = null;
  let filled = 0;

  const begin = (): Buffer => {
    const length = prefix.readUInt32BE(1);
    if (prefix[0] !== 0) throw new RondoError('data-loss', 'a compressed chunk came, which no worker sends');
    if (length > o.maxBytes) {
      throw new RondoError('data-loss', `a chunk of ${length} bytes came; the largest has ${o.maxBytes}`);
    }
    filled = 0;
    return takeFrame(length);
  };

  return (bytes) => {
    let at = 0;
    while (at < bytes.length || (message !== null && filled === message.length)) {
      if (message === null) {
        const count = Math.min(grpcPrefixBytes - prefixLength, bytes.length - at);
        bytes.copy(prefix, prefixLength, at, at + count);
        at += count;
        prefixLength += count;
        if (prefixLength < grpcPrefixBytes) return;
        message = begin();
      }
      const count = Math.min(message.length - filled, bytes.length - at);
      bytes.copy(message, filled, at, at + count);
      at += count;
      filled += count;
      if (filled === message.length) {
        const whole = message;
        message = null;
        prefixLength = 0;
        o.onMessage(deserializeChunk(whole));
      }
    }
  };
}
