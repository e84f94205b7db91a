const pageBytes = 65_536;

/**
 * Shared memory of at least `bytes` bytes, whose start is page-aligned. TensorFlow takes an array without
 * copying when it is 64-byte aligned; a plain SharedArrayBuffer is not, and WebAssembly's memory always is.
 */
export function allocateShared(bytes: number): SharedArrayBuffer {
  const pages = Math.max(1, Math.ceil(bytes / pageBytes));
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return memory.buffer;
}
