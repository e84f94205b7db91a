import { damaged } from './file-faults.js';

/** Reads `bytes` from one place on; whatever would lie outside them throws data-loss that names `file`. */
export interface ByteReader {
  /** Of the byte that is read next. */
  readonly position: number;
  /** A view of the next `count` bytes. */
  take(count: number): Uint8Array;
  uint8(): number;
  uint16(): number;
  uint32(): number;
  int32(): number;
  /** 64 bits, unsigned, which must be a count that a number can hold. */
  size(): number;
  /** Big-endian, as pickle has it. */
  float64(): number;
  /** Up to the next line feed, which is read too. */
  line(): string;
}

export function readBytes(bytes: Uint8Array, start: number, file: string): ByteReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = start;
  const skip = (count: number): number => {
    const at = position;
    if (!(at >= 0 && count >= 0 && at + count <= bytes.length)) {
      throw damaged(file, `it ends after ${bytes.length} bytes, but more should follow`);
    }
    position += count;
    return at;
  };
  const take = (count: number) => {
    const at = skip(count);
    return bytes.subarray(at, at + count);
  };
  return {
    get position() {
      return position;
    },
    take,
    uint8: () => view.getUint8(skip(1)),
    uint16: () => view.getUint16(skip(2), true),
    uint32: () => view.getUint32(skip(4), true),
    int32: () => view.getInt32(skip(4), true),
    size() {
      const value = view.getBigUint64(skip(8), true);
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(file, `it speaks of ${value} bytes`);
      return Number(value);
    },
    float64: () => view.getFloat64(skip(8)),
    line() {
      const end = bytes.indexOf(0x0a, position);
      if (end < 0) throw damaged(file, 'it ends within a name');
      const text = Buffer.from(bytes.subarray(position, end)).toString('utf8');
      skip(end + 1 - position);
      return text;
    },
  };
}
