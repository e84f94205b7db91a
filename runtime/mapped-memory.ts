import assert from 'node:assert/strict';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { RondoError } from './errors.js';

// <sys/mman.h> of Linux.
const readAndWrite = 0x1 | 0x2;
const shared = 0x01;
const anonymous = 0x02 | 0x20;
/** In the place of what is there, and with all pages at once: one by one they cost a fault each. */
const [fixed, populated] = [0x10, 0x8000];

/** At least one page of the system's, and WebAssembly's own. */
export const mappableBytes = 65_536;

const mmap = koffi
  .load(null)
  .func('void *mmap(void *address, size_t length, int protection, int flags, int file, int64_t offset)');

/**
 * Puts a file's bytes from `offset` on in the place of `memory`: what is written to either is at once in
 * both, whichever process writes. `memory` is whole pages of `mappableBytes` of a WebAssembly memory. The
 * file must be as long, and stay so: a process that touches what is not there any more is killed.
 *
 * @throws RondoError `failed-precondition` when the system refuses; nothing has changed then.
 */
export function mapFile(memory: Uint8Array, file: number, offset: number): void {
  map(memory, shared | populated, file, offset);
}

/** Puts zeros of `memory`'s own in the place of what was mapped there. */
export function unmap(memory: Uint8Array): void {
  map(memory, anonymous, -1, 0);
}

function map(memory: Uint8Array, flags: number, file: number, offset: number): void {
  const isWhole = memory.byteOffset % mappableBytes === 0 && memory.byteLength % mappableBytes === 0;
  assert(isWhole && memory.byteLength > 0, 'only whole pages can be mapped');
  const address: bigint = mmap(memory, memory.byteLength, readAndWrite, flags | fixed, file, offset);
  if (address === koffi.address(memory)) return;
  const cause = getSystemErrorName(-koffi.errno());
  throw new RondoError('failed-precondition', `cannot map ${memory.byteLength} bytes of memory: ${cause}`);
}
