import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { SharedSlots } from '../../../../proto/gen/peer.js';
import { allocateFile } from '../../../../runtime/allocate-file.js';
import { makerOf, nameSharedFile } from '../../../../runtime/shared-files.js';

/**
 * The file behind peer.proto's SharedSlots. The receiver of payloads makes it in a memory file system, says
 * its name over gRPC, and unlinks it when the sender has opened it or refused: from then on it lives as long
 * as the two descriptors. A rank's reduction vectors are shared by such a file too, of one slot
 * (vector-sharing), which lives as long as somebody maps it.
 *
 * A name from the network is only ever looked up as a bare name of our own pattern in that one directory,
 * without following links or waiting; and what is found is used only when it is a regular file of this user,
 * of the size that was announced, beginning with the nonce that was announced. So a sender on another
 * machine, in another container or of another user finds nothing or something else, and a request can make it
 * write to no file but one that a process of its own user made for this.
 */
export interface SlotShape {
  readonly slotCount: number;
  readonly slotBytes: number;
}

export interface MadeSlotFile {
  readonly fd: number;
  readonly offer: SharedSlots;
  /** Takes the name away. May be called twice. */
  unlink(): void;
}

export const headBytes = 4096;

export const nonceBytes = 16;

/**
 * A process that was killed leaves its file behind, unless the coordinator launched it. No sender takes nearly this
 * long to open one.
 */
const leftoverMs = 600_000;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;

/** Null where there is no such directory, or no room in it: a container's /dev/shm may be small. */
export function makeSlotFile(directory: string, shape: SlotShape): MadeSlotFile | null {
  const name = nameSharedFile();
  const path = join(directory, name);
  const nonce = randomBytes(nonceBytes);
  let fd: number;
  try {
    removeLeftovers(directory);
    fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch {
    return null;
  }
  const unlink = () => {
    process.off('exit', unlink);
    rmSync(path, { force: true });
  };
  process.once('exit', unlink);
  // All of it, so that memory that is not there is missed now and not in the middle of a sum.
  if (allocateFile(fd, sizeOf(shape))) {
    writeSync(fd, nonce, 0, nonceBytes, 0);
    return { fd, offer: { name, nonce, ...shape }, unlink };
  }
  closeSync(fd);
  unlink();
  return null;
}

/** A descriptor of the file that `offer` means, or null when it is not to be found here. */
export function findSlotFile(directory: string, offer: SharedSlots): number | null {
  if (makerOf(offer.name) === null || offer.nonce.byteLength !== nonceBytes) return null;
  let fd: number;
  try {
    fd = openSync(join(directory, offer.name), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return null;
  }
  if (isOffered(fd, offer)) return fd;
  closeSync(fd);
  return null;
}

function isOffered(fd: number, offer: SharedSlots): boolean {
  const stat = fstatSync(fd);
  if (!stat.isFile() || stat.uid !== process.getuid?.() || stat.size !== sizeOf(offer)) return false;
  const nonce = Buffer.alloc(nonceBytes);
  readSync(fd, nonce, 0, nonceBytes, 0);
  return nonce.equals(offer.nonce) && offer.slotCount <= headBytes - nonceBytes;
}

function sizeOf({ slotCount, slotBytes }: SlotShape): number {
  return headBytes + slotCount * slotBytes;
}

function removeLeftovers(directory: string): void {
  const uid = process.getuid?.();
  for (const name of readdirSync(directory)) {
    if (makerOf(name) === null) continue;
    try {
      const stat = lstatSync(join(directory, name));
      if (stat.isFile() && stat.uid === uid && Date.now() - stat.mtimeMs > leftoverMs) {
        rmSync(join(directory, name));
      }
    } catch {
      // Another process has removed it meanwhile.
    }
  }
}
