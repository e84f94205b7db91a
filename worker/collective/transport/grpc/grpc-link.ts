import assert from 'node:assert/strict';
import type { RingTransport } from '../../../../plan/run-config.js';
import { type ExchangeRequest, type PeerServer, RingKind } from '../../../../proto/gen/peer.js';
import { RondoError } from '../../../../runtime/errors.js';
import type { RunCredentials } from '../../../../runtime/grpc/credentials.js';
import { failCall, type GrpcServerOptions } from '../../../../runtime/grpc/server.js';
import { sharedMemory as defaultSharedMemory } from '../../../../runtime/shared-files.js';
import { blocksUnderWay, chunkBytes, predecessorOf, successorOf } from '../../geometry.js';
import type { Link } from '../link.js';
import type { SlotShape } from '../shared-memory/slot-file.js';
import { type Inlet, openInlet } from './inlet.js';
import { createOutlet, type Outlet } from './outlet.js';

/** One of a generation's rings, and its ranks in order. */
export interface PartialRing {
  readonly kind: RingKind;
  readonly ranks: readonly number[];
}

export interface Exchange {
  /** Where memory is shared with other processes of this machine; null where it is not. */
  readonly sharedMemory: string | null;
  /** `exchange` of the process's peer server, which is to be made with wire-format's `peerService`. */
  readonly handler: PeerServer['exchange'];
  /** `connect` of the same server. */
  readonly connect: NonNullable<GrpcServerOptions['connect']>;
  /**
   * Joins the ring of all ranks of a generation, which ends the one before it, or then another of its rings. Resolves
   * when the predecessor has taken this rank's pull and the successor pulls from this rank. The link closes when
   * `signal` aborts.
   *
   * @param predecessorAddress HOST:PORT of its peer server.
   * @param names by rank: what the neighbours' certificates must say.
   * @throws RondoError `aborted` for a generation that is not newer than every one before, or a ring of one that is
   * not the newest, `unavailable` when the predecessor is gone, `deadline-exceeded` when a neighbour does not come
   * within `waitMs`.
   */
  openLink(o: {
    generation: bigint;
    rank: number;
    worldSize: number;
    /** Another than that of all ranks. */
    ring?: PartialRing;
    predecessorAddress: string;
    names: readonly string[];
    /** HOST:PORT of this rank's further lanes; none without. The successor's link says them. */
    laneAddresses?: readonly string[];
    /** How payloads come that memory does not carry. */
    transport: RingTransport;
    signal: AbortSignal;
  }): Promise<Link>;
  close(): void;
}

type RingRequest = Pick<ExchangeRequest, 'generation' | 'ring'>;

interface Waiting extends RingRequest {
  settle(outlet: Outlet | RondoError): void;
}

interface OpenedGeneration {
  readonly generation: bigint;
  readonly rings: Map<RingKind, { readonly outlet: Outlet; close(error: RondoError): void }>;
}

export interface ExchangeOptions {
  /** How long a pull waits for this process to open its generation, and opening one for the neighbours. */
  waitMs(): number;
  /** Where payloads between processes of one machine pass through memory; null leaves them to gRPC. */
  readonly sharedMemory?: string | null;
}

/** A process's end of all its exchanges. */
export function createExchange(credentials: RunCredentials, options: ExchangeOptions): Exchange {
  const { sharedMemory = defaultSharedMemory } = options;
  const waiting = new Set<Waiting>();
  let newest: OpenedGeneration = { generation: 0n, rings: new Map() };
  let closed = false;

  /** The outlet of a ring, when it is opened in time. */
  function findOutlet({ generation, ring }: RingRequest): Promise<Outlet> {
    if (closed) return Promise.reject(new RondoError('unavailable', 'this worker is leaving'));
    if (generation < newest.generation) return Promise.reject(outdated(generation, newest.generation));
    const opened = generation === newest.generation ? newest.rings.get(ring) : undefined;
    if (opened !== undefined) return Promise.resolve(opened.outlet);
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        ...{ generation, ring },
        settle(outcome) {
          clearTimeout(timer);
          waiting.delete(entry);
          if (outcome instanceof RondoError) reject(outcome);
          else resolve(outcome);
        },
      };
      const waitMs = options.waitMs();
      const expire = () => entry.settle(late(`did not open generation ${generation}`, waitMs));
      const timer = setTimeout(expire, waitMs);
      waiting.add(entry);
    });
  }

  function serveWaiting(ring: RingKind, outlet: Outlet): void {
    const { generation } = outlet;
    for (const entry of [...waiting]) {
      if (entry.generation === generation && entry.ring === ring) entry.settle(outlet);
      if (entry.generation < generation) entry.settle(outdated(entry.generation, generation));
    }
  }

  function closeNewest(error: RondoError): void {
    for (const { close } of newest.rings.values()) close(error);
  }

  return {
    sharedMemory,
    handler(pull) {
      findOutlet(pull.request)
        .then((outlet) => {
          if (!pull.cancelled) outlet.attach(pull);
        })
        .catch((error) => failCall(pull, error));
    },

    connect(ticket, socket, caller) {
      const opened = [...newest.rings.values()].find(({ outlet }) => outlet.awaits(ticket));
      if (opened === undefined) {
        throw new RondoError('unauthenticated', 'it brings no ticket of an exchange that waits for it');
      }
      opened.outlet.connect(socket, caller);
    },

    async openLink({ generation, rank, worldSize, predecessorAddress, names, signal, ...more }) {
      const { laneAddresses = [], transport } = more;
      if (signal.aborted) throw abortError(signal, generation);
      if (closed) throw new RondoError('cancelled', 'the exchange is closed');
      const { kind, ranks } = more.ring ?? {
        kind: RingKind.RING_KIND_ALL,
        ranks: [...Array(worldSize).keys()],
      };
      const before = newest.generation;
      const isNew = kind === RingKind.RING_KIND_ALL;
      if (isNew ? generation <= before : generation !== before) throw outdated(generation, before);
      assert(isNew || !newest.rings.has(kind), 'a ring is opened once');
      if (isNew) {
        closeNewest(outdated(before, generation));
        newest = { generation, rings: new Map() };
      }

      const place = ranks.indexOf(rank);
      const predecessor = ranks[predecessorOf(place, ranks.length)]!;
      const successor = ranks[successorOf(place, ranks.length)]!;
      const outlet = createOutlet({
        ...{ generation, successor, sharedMemory, laneAddresses },
        successorName: names[successor]!,
      });
      // Nothing of any length travels within a host: vectors lie in memory there.
      const hasSlots = sharedMemory !== null && kind !== RingKind.RING_KIND_WITHIN_HOST;
      const slots = hasSlots ? { directory: sharedMemory, ...slotShape(ranks.length) } : null;
      const inlet = openInlet({
        ...{ credentials, generation, ring: kind, rank, predecessor, slots },
        dataConnection: transport === 'sockets',
        ...{ address: predecessorAddress, name: names[predecessor]! },
      });
      const onAbort = () => close(abortError(signal, generation));
      const close = (error: RondoError) => {
        signal.removeEventListener('abort', onAbort);
        outlet.close(error);
        inlet.close(error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      newest.rings.set(kind, { outlet, close });
      serveWaiting(kind, outlet);
      let predecessorLanes: readonly string[];
      try {
        predecessorLanes = await meetNeighbours(inlet, outlet, options.waitMs());
      } catch (error) {
        close(RondoError.from(error));
        throw error;
      }
      return {
        predecessorLanes,
        sharesMemory: outlet.sharesMemory,
        takeSlot: outlet.takeSlot,
        send: outlet.send,
        receive: inlet.receive,
        close: () => close(new RondoError('aborted', `the link of generation ${generation} was closed`)),
      };
    },

    close() {
      closed = true;
      const error = new RondoError('cancelled', 'this worker is leaving');
      for (const entry of [...waiting]) entry.settle(error);
      closeNewest(error);
    },
  };
}

/** Room for all that a link ever holds: a chunk that must go over gRPC keeps those behind it waiting. */
function slotShape(worldSize: number): SlotShape {
  return { slotCount: worldSize * blocksUnderWay, slotBytes: chunkBytes };
}

async function meetNeighbours(inlet: Inlet, outlet: Outlet, waitMs: number): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    const text = `found no predecessor and successor for generation ${outlet.generation}`;
    timer = setTimeout(() => reject(late(text, waitMs)), waitMs);
  });
  try {
    const [lanes] = await Promise.race([Promise.all([inlet.accepted, outlet.attached]), deadline]);
    return lanes;
  } finally {
    clearTimeout(timer);
  }
}

function outdated(generation: bigint, newer: bigint): RondoError {
  return new RondoError('aborted', `generation ${generation} is over: this worker is at generation ${newer}`);
}

function late(what: string, waitMs: number): RondoError {
  return new RondoError('deadline-exceeded', `this worker ${what} within ${waitMs / 1000} s`);
}

function abortError(signal: AbortSignal, generation: bigint): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('aborted', `generation ${generation} was aborted`, { cause: signal.reason });
}
