import { getPriority } from 'node:os';
import koffi from 'koffi';

/**
 * Linux's numbers for the system call sched_setattr, for which the C library has a function only since glibc
 * 2.41.
 */
const schedSetattr: Partial<Record<NodeJS.Architecture, number>> = { x64: 314, arm64: 274 };

/**
 * Of <linux/sched/types.h>: the size of struct sched_attr's first version, and the flag that leaves the
 * policy as it is.
 */
const attributesBytes = 48;
const keepPolicy = 0x08;

/**
 * For threads that compute a network: a few convolutions long, where Linux's own 1.4 to 3 ms end amid each.
 * Longer ones gain no more, and let ranks drift apart.
 */
export const computeSliceMs = 20;

/**
 * Asks that this thread, and every thread that it starts afterwards, may keep its core for `sliceMs`
 * milliseconds (0.1 to 100) at a time while others wait for it. Where several compute on one core, each turn
 * begins with bringing one's data into the core's cache. What waits for something else, and wakes with a
 * shorter slice, still comes first.
 *
 * For Linux from 6.12 on. Elsewhere, and where it is forbidden, nothing changes: it is a matter of speed
 * only.
 */
export function askForSlices(sliceMs: number): void {
  const number = schedSetattr[process.arch];
  if (process.platform !== 'linux' || number === undefined) return;
  const attributes = Buffer.alloc(attributesBytes);
  attributes.writeUInt32LE(attributesBytes, 0);
  attributes.writeBigUInt64LE(BigInt(keepPolicy), 8);
  attributes.writeInt32LE(getPriority(), 16);
  attributes.writeBigUInt64LE(BigInt(Math.round(sliceMs * 1e6)), 24);
  const syscall = koffi.load(null).func('long syscall(long number, ...)');
  syscall(number, 'int', 0, 'void *', attributes, 'unsigned int', 0);
}
