/**
 * A whole number below 2^32 as LEB128, which protobuf and WebAssembly share: seven bits to a byte, the lowest
 * first.
 */
export function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}
