import { StateChunk } from './gen/coordinator.js';

/** StateChunk's field `data`: number 2, length-delimited. */
const dataTag = 0x12;

/**
 * Serializes a StateChunk for gRPC. The generated codec copies `data` several times, which costs seconds of processor time
 * for a large network's state while its worker trains on; this one copies it once.
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

/** Seven bits to a byte, the lowest first. */
function varint(value: number): number[] {
  return value < 0x80 ? [value] : [0x80 | (value & 0x7f), ...varint(value >>> 7)];
}
