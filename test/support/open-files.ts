import { readdirSync, readlinkSync } from 'node:fs';

/** Descriptors of this process that are open in the directory, unlinked files included. */
export function countDescriptors(directory: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false;
    }
  }).length;
}
