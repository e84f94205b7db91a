/**
 * By code point, which is also the order of the UTF-8 bytes; JavaScript's own comparison is by UTF-16 unit.
 */
export function compareText(a: string, b: string): number {
  const bytesA = Buffer.from(a);
  return bytesA.compare(Buffer.from(b));
}
