import { StateChunk } from './gen/coordinator.js';

/** Bytes of values in one StateChunk. */
export const stateChunkBytes = 1 << 20;

/** What its receiver takes at once. */
export const maxStateChunkBytes = 4 << 20;

/** StateChunk's field `data`: number 2, length-delimited. */
const dataTag = 0x12;

/**
 * Serializes a StateChunk for gRPC. The generated codec copies `data` several times, which takes most of a
 * second for a ResNet34's state while its worker trains on; this one copies it once.
 */
export function serializeStateChunk(chunk: StateChunk): Buffer {
  const { part } = chunk;
  if (part?.$case !== 'data') return Buffer.from(StateChunk.encode(chunk).finish());
  const { value } = part;
  const head = [dataTag, ...varint(value.byteLength)];
  const message = Buffer.allocUnsafeSlow(head.length + value.byteLength);
  message.set(head);
  message.set(value, head.length);
  return message;
}

/**
 * A whole number below 2^32 in protobuf's encoding: seven bits to a byte, the lowest
 * first.
 */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
