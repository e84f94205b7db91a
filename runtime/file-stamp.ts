import type { BigIntStats } from 'node:fs';

/**
 * Size, modification time, change time (ns) and inode of a file: another stamp means that it may hold other bytes. On
 * another machine the same stamp means that it is the same file, of a file system that both have.
 */
export function stampOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): string {
  return [size, mtimeNs, ctimeNs, ino].join(' ');
}
