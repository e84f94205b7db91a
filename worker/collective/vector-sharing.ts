import { closeSync } from 'node:fs';
import { SharedSlots } from '../../proto/gen/peer.js';
import { type GatherOptions, gather } from './gather.js';
import {
  openSharedVectors,
  type SharedVectors,
  sharedBytes,
} from './transport/shared-memory/shared-vectors.js';
import { findSlotFile, type MadeSlotFile, makeSlotFile } from './transport/shared-memory/slot-file.js';

export interface Sharing extends Omit<GatherOptions, 'round'> {
  /**
   * This rank's whole reduction vectors, the same on every rank; their values are lost when they are shared.
   */
  readonly vectors: readonly Float32Array[];
  /** A memory file system; null where nothing is shared. */
  readonly directory: string | null;
}

/** What a WebAssembly memory holds, without what kernels need beside the vectors. */
const mostBytes = 2 ** 32 - 2 ** 24;

const [no, yes] = [Uint8Array.of(0), Uint8Array.of(1)];
const nothing = new Uint8Array(0);
const isYes = ([answer]: Uint8Array): boolean => answer === 1;

/**
 * Brings the reduction vectors of all ranks together when all are processes of one machine with room for it:
 * for every rank or, with null, for none. All ranks call it. Files are found as slot-file says.
 *
 * @throws RondoError as `gather`.
 */
export async function shareVectors(o: Sharing): Promise<SharedVectors | null> {
  const eachBytes = sharedBytes(o.vectors);
  const isRoom = eachBytes > 0 && o.worldSize * eachBytes <= mostBytes;
  const isPossible = o.directory !== null && o.link.sharesMemory && isRoom;
  const possible = await gather({ ...o, round: 0n }, isPossible ? yes : no);
  if (!possible.every(isYes)) return null;
  const made = makeSlotFile(o.directory!, { slotCount: 1, slotBytes: eachBytes });
  let shared: SharedVectors | null = null;
  try {
    const offer = made === null ? nothing : SharedSlots.encode(made.offer).finish();
    const offers = await gather({ ...o, round: 1n }, offer);
    shared = made === null ? null : openOffers(offers, made, o);
    const opened = await gather({ ...o, round: 2n }, shared === null ? no : yes);
    if (opened.every(isYes)) return shared;
  } catch (error) {
    shared?.close();
    throw error;
  } finally {
    made?.unlink();
    if (made !== null) closeSync(made.fd);
  }
  shared?.close();
  return null;
}

/** Null when a file is not to be found here, or the system does not map it. */
function openOffers(
  offers: readonly Uint8Array[],
  { fd, offer: own }: MadeSlotFile,
  o: Sharing,
): SharedVectors | null {
  const found: number[] = [];
  try {
    const files = offers.map((bytes, rank) => {
      if (rank === o.rank) return fd;
      const offer = SharedSlots.decode(bytes);
      const isAlike = offer.slotCount === own.slotCount && offer.slotBytes === own.slotBytes;
      const file = isAlike ? findSlotFile(o.directory!, offer) : null;
      if (file !== null) found.push(file);
      return file;
    });
    if (!files.every((file) => file !== null)) return null;
    return openSharedVectors({ vectors: o.vectors, rank: o.rank, files });
  } catch {
    return null;
  } finally {
    for (const file of found) closeSync(file);
  }
}
