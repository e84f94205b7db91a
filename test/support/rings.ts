import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { allocateReductionVector } from '../../worker/arithmetic/reduction-vector.js';
import type { LaneThread } from '../../worker/collective/lanes.js';
import { type OpenRing, openRing } from '../../worker/collective/open-ring.js';
import { type Peer, startPeer, stopPeers } from './grpc-peers.js';
import { openRelay, type Relay } from './relay.js';
import { intsOf, rankVector } from './vectors.js';

export type Wire = 'float32' | 'bfloat16';
const never = new AbortController().signal;

/** Each rank with vectors of all `lengths`. */
export function allocateAll(worldSize: number, lengths: readonly number[]): Float32Array[][] {
  return Array.from({ length: worldSize }, () => lengths.map(allocateReductionVector));
}

/** The rings of all ranks. */
export function openRings(
  peers: readonly Peer[],
  /** By rank: what is to be summed. */
  vectors: readonly (readonly Float32Array[])[],
  o: {
    generation?: bigint;
    wire?: Wire;
    signal?: AbortSignal;
    /** By rank: its further lanes. */
    lanes?: readonly (readonly LaneThread[])[];
    /** What a rank is told of where the others are, and by rank what their certificates must say. */
    addressesOf?: (rank: number) => string[];
    names?: readonly string[];
  } = {},
): Promise<OpenRing[]> {
  const { generation = 1n, wire = 'float32', signal = never, names = [] } = o;
  const addressesOf = o.addressesOf ?? (() => peers.map(({ address }) => address));
  const worldSize = peers.length;
  return Promise.all(
    peers.map(({ exchange }, rank) =>
      openRing({
        ...{ exchange, generation, rank, worldSize, wire, signal, vectors: vectors[rank] },
        ...{ lanes: o.lanes?.[rank] ?? [], names, transport: 'sockets', addresses: addressesOf(rank) },
      }),
    ),
  );
}

/**
 * Fills each rank's vector, sums the elements from `start` to `end`, and resolves to what each then has
 * there.
 */
export async function sumParts(
  rings: readonly OpenRing[],
  vectors: readonly Float32Array[],
  [start, end] = [0, vectors[0].length],
): Promise<Float32Array[]> {
  for (const [rank, vector] of vectors.entries()) intsOf(vector).set(intsOf(rankVector(rank, vector.length)));
  const parts = vectors.map((vector) => vector.subarray(start, end));
  await Promise.all(rings.map((ring, rank) => ring.allReduce(parts[rank], { signal: never })));
  return parts;
}

export interface SharedFolder {
  readonly path: string;
  /** Mappings of files in it, unlinked ones included. */
  mappings(): number;
}

/** A folder for each test of the file, or of the `describe`, that calls this; peers stop with the test. */
export function openSharedFolders(): SharedFolder {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'rondo-shared-'));
  });
  afterEach(() => {
    stopPeers();
    rmSync(path, { recursive: true });
  });
  return {
    get path() {
      return path;
    },
    mappings: () => readFileSync('/proc/self/maps', 'utf8').split(`${path}/`).length - 1,
  };
}

export interface Hosts {
  /** By rank. */
  readonly peers: readonly Peer[];
  /** Before each rank, for those of other hosts. */
  readonly relays: readonly Relay[];
  addressesOf(rank: number): string[];
}

/**
 * As many ranks on each host as `sizes` says, which share memory in a folder of `directory`, and reach others through a
 * relay before each. `credentials` are theirs, by rank; they have certificates then.
 */
export async function startHosts(
  directory: string,
  sizes: readonly number[],
  credentials: readonly RunCredentials[] = [],
): Promise<Hosts> {
  let rank = 0;
  const hosts = sizes.map((size, host) => {
    const sharedMemory = join(directory, `host-${host}`);
    mkdirSync(sharedMemory);
    rank += size;
    return Promise.all(
      Array.from({ length: size }, (_, at) => startPeer({ sharedMemory }, credentials[rank - size + at])),
    );
  });
  const peers = (await Promise.all(hosts)).flat();
  const relays = await Promise.all(peers.map(({ address }) => openRelay(address)));
  const hostOf = sizes.flatMap((size, host) => Array<number>(size).fill(host));
  const addressesOf = (rank: number) =>
    peers.map(({ address }, other) => (hostOf[other] === hostOf[rank] ? address : relays[other].address));
  return { peers, relays, addressesOf };
}
