import { closeSync } from 'node:fs';
import { SharedSlots } from '../../proto/gen/peer.js';
import { type GatherOptions, gather } from './gather.js';
import {
  loneVectors,
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

/** The ranks of a generation by host: ranks of one host have their vectors side by side in memory. */
export interface HostVectors {
  /** Ranks in order, those of each host. At least one has several. */
  readonly hosts: readonly (readonly number[])[];
  /** Of the ranks of this rank's host. */
  readonly vectors: SharedVectors;
}

/** What a WebAssembly memory holds, without what kernels need beside the vectors. */
const mostBytes = 2 ** 32 - 2 ** 24;

const [no, yes] = [Uint8Array.of(0), Uint8Array.of(1)];
const nothing = new Uint8Array(0);
const isYes = ([answer]: Uint8Array): boolean => answer === 1;

/**
 * Brings the reduction vectors of ranks together that are neighbours in the ring and processes of one machine with
 * room for it. All ranks call it, and all learn of the same hosts; null when every rank is alone. Files are found as
 * slot-file says.
 *
 * @throws RondoError as `gather`.
 */
export async function shareVectors(o: Sharing): Promise<HostVectors | null> {
  const eachBytes = sharedBytes(o.vectors);
  const canShare = o.directory !== null && eachBytes > 0;
  const place = Uint8Array.of(Number(canShare), Number(canShare && o.link.sharesMemory));
  const places = await gather({ ...o, round: 0n }, place);
  const near = cutHosts(
    places.map(([can, isBesideNext]) => ({ canShare: can === 1, isBesideNext: isBesideNext === 1 })),
    Math.floor(mostBytes / eachBytes),
  );
  if (near.length === o.worldSize) return null;
  const host = near.find((ranks) => ranks.includes(o.rank))!;
  const made = host.length === 1 ? null : makeSlotFile(o.directory!, { slotCount: 1, slotBytes: eachBytes });
  let shared: SharedVectors | null = null;
  try {
    const offer = made === null ? nothing : SharedSlots.encode(made.offer).finish();
    const offers = await gather({ ...o, round: 1n }, offer);
    shared = made === null ? null : openOffers(offers, made, host, o);
    const opened = await gather({ ...o, round: 2n }, shared === null ? no : yes);
    const hosts = near.flatMap((ranks) =>
      ranks.every((rank) => isYes(opened[rank])) ? [ranks] : ranks.map((rank) => [rank]),
    );
    if (shared !== null && hosts.includes(host)) return { hosts, vectors: shared };
    shared?.close();
    return hosts.length === o.worldSize ? null : { hosts, vectors: loneVectors(o.vectors) };
  } catch (error) {
    shared?.close();
    throw error;
  } finally {
    made?.unlink();
    if (made !== null) closeSync(made.fd);
  }
}

/** Cuts the ring between ranks that do not share memory, and where a host has more than `most`. */
export function cutHosts(
  places: readonly { readonly canShare: boolean; readonly isBesideNext: boolean }[],
  most: number,
): number[][] {
  const hosts: number[][] = [];
  for (const [rank, { canShare }] of places.entries()) {
    const host = hosts.at(-1);
    const isBeside = canShare && places[rank - 1]?.isBesideNext === true;
    if (host !== undefined && isBeside && host.length < most) host.push(rank);
    else hosts.push([rank]);
  }
  return hosts;
}

/** Null when a file is not to be found here, or the system does not map it. */
function openOffers(
  offers: readonly Uint8Array[],
  { fd, offer: own }: MadeSlotFile,
  host: readonly number[],
  o: Sharing,
): SharedVectors | null {
  const found: number[] = [];
  try {
    const files = host.map((rank) => {
      if (rank === o.rank) return fd;
      const offer = SharedSlots.decode(offers[rank]!);
      const isAlike = offer.slotCount === own.slotCount && offer.slotBytes === own.slotBytes;
      const file = isAlike ? findSlotFile(o.directory!, offer) : null;
      if (file !== null) found.push(file);
      return file;
    });
    if (!files.every((file) => file !== null)) return null;
    return openSharedVectors({ vectors: o.vectors, rank: host.indexOf(o.rank), files });
  } catch {
    return null;
  } finally {
    for (const file of found) closeSync(file);
  }
}
