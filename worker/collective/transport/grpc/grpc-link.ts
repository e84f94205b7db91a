import type { RingTransport } from '../../../../plan/run-config.js';
import type { PeerServer } from '../../../../proto/gen/peer.js';
import { RondoError } from '../../../../runtime/errors.js';
import type { RunCredentials } from '../../../../runtime/grpc/credentials.js';
import { failCall, type GrpcServerOptions } from '../../../../runtime/grpc/server.js';
import { sharedMemory as defaultSharedMemory } from '../../../../runtime/shared-files.js';
import { blocksUnderWay, chunkBytes, predecessorOf, successorOf } from '../../geometry.js';
import type { Link } from '../link.js';
import type { SlotShape } from '../shared-memory/slot-file.js';
import { type Inlet, openInlet } from './inlet.js';
import { createOutlet, type Outlet } from './outlet.js';

export interface Exchange {
  /** Where memory is shared with other processes of this machine; null where it is not. */
  readonly sharedMemory: string | null;
  /** `exchange` of the process's peer server, which is to be made with wire-format's `peerService`. */
  readonly handler: PeerServer['exchange'];
  /** `connect` of the same server. */
  readonly connect: NonNullable<GrpcServerOptions['connect']>;
  /**
   * Joins the ring of a generation, and ends the one before it. Resolves when the predecessor has taken this
   * rank's pull and the successor pulls from this rank. The link closes when `signal` aborts.
   *
   * @param predecessorAddress HOST:PORT of its peer server.
   * @param names by rank: what the neighbours' certificates must say.
   * @throws RondoError `aborted` for a generation that is not newer than every one before, `unavailable` when
   * the predecessor is gone, `deadline-exceeded` when a neighbour does not come within `waitMs`.
   */
  openLink(o: {
    generation: bigint;
    rank: number;
    worldSize: number;
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

interface Waiting {
  readonly generation: bigint;
  settle(outlet: Outlet | RondoError): void;
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
  let newest: { outlet: Outlet; close(error: RondoError): void } | null = null;
  let closed = false;

  /** The outlet of `generation`, when it is opened in time. */
  function findOutlet(generation: bigint): Promise<Outlet> {
    if (closed) return Promise.reject(new RondoError('unavailable', 'this worker is leaving'));
    const here = newest?.outlet.generation ?? 0n;
    if (newest?.outlet.generation === generation) return Promise.resolve(newest.outlet);
    if (generation < here) return Promise.reject(outdated(generation, here));
    return new Promise((resolve, reject) => {
      const entry: Waiting = {
        generation,
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

  function serveWaiting(outlet: Outlet): void {
    for (const entry of [...waiting]) {
      if (entry.generation === outlet.generation) entry.settle(outlet);
      if (entry.generation < outlet.generation) entry.settle(outdated(entry.generation, outlet.generation));
    }
  }

  return {
    sharedMemory,
    handler(pull) {
      findOutlet(pull.request.generation)
        .then((outlet) => {
          if (!pull.cancelled) outlet.attach(pull);
        })
        .catch((error) => failCall(pull, error));
    },

    connect(ticket, socket, caller) {
      if (newest === null) throw new RondoError('failed-precondition', 'this worker is in no generation yet');
      newest.outlet.connect(ticket, socket, caller);
    },

    async openLink({ generation, rank, worldSize, predecessorAddress, names, signal, ...more }) {
      const { laneAddresses = [], transport } = more;
      if (signal.aborted) throw abortError(signal, generation);
      if (closed) throw new RondoError('cancelled', 'the exchange is closed');
      const before = newest?.outlet.generation ?? 0n;
      if (generation <= before) throw outdated(generation, before);
      newest?.close(outdated(before, generation));

      const predecessor = predecessorOf(rank, worldSize);
      const outlet = createOutlet({
        generation,
        successor: successorOf(rank, worldSize),
        successorName: names[successorOf(rank, worldSize)]!,
        sharedMemory,
        laneAddresses,
      });
      const slots = sharedMemory === null ? null : { directory: sharedMemory, ...slotShape(worldSize) };
      const inlet = openInlet({
        ...{ credentials, generation, rank, predecessor, slots },
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
      newest = { outlet, close };
      serveWaiting(outlet);
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
      newest?.close(error);
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
