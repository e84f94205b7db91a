/**
 * Whether two vectors are the same, bit for bit. To compare millions of values one by one takes the test
 * runner minutes.
 */
export function sameBits(a: Float32Array, b: Float32Array): boolean {
  const [left, right] = [a, b].map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength),
  );
  return left!.equals(right!);
}
