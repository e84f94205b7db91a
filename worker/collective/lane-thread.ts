import assert from 'node:assert/strict';
import { type PeerServer, RingKind } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { openCredentials, type RenewableCredentials } from '../../runtime/grpc/open-credentials.js';
import { failCall } from '../../runtime/grpc/server.js';
import { advertisedAddress } from '../../runtime/host-port.js';
import { serveThread } from '../../runtime/thread-calls.js';
import { adoptMemory } from '../arithmetic/reduction-vector.js';
import { createRing } from './all-reduce.js';
import type { LaneOperations } from './lanes.js';
import type { Ring } from './rounds.js';
import { createExchange, type Exchange } from './transport/grpc/grpc-link.js';
import { startPeerServer } from './transport/grpc/peer-server.js';

// A lane's program: an exchange with a server of its own, in a thread of its own. It sums its blocks where
// the vector lies.

const memories = new Map<number, SharedArrayBuffer>();
let credentials: RenewableCredentials | null = null;
let exchange: Exchange | null = null;
let ring: Ring | null = null;
let lane = 0;
/** Ends the sum that is under way. */
let interruption = new AbortController();
/** Ends the generation's link. */
let ending = new AbortController();

serveThread<LaneOperations>({
  async listen({ address, advertise, identity, waitMs }) {
    credentials = openCredentials(identity);
    exchange = createExchange(credentials, { waitMs: () => waitMs });
    const service: PeerServer = {
      exchange: exchange.handler,
      copyState: (call) =>
        failCall(call, new RondoError('failed-precondition', 'a lane carries gradients only')),
    };
    const server = await startPeerServer(address, credentials, service, exchange.connect);
    return advertisedAddress(server.address, advertise);
  },
  renew(identity) {
    assert(credentials !== null, 'a lane listens before its certificate is renewed');
    credentials.renew(identity);
  },
  async open({ ring: options, ranks, ...neighbours }) {
    assert(exchange !== null, 'a lane listens before it is opened');
    lane = options.lane.index;
    ending = new AbortController();
    memories.clear();
    // Whichever ring it is, a lane has no other in its generation.
    const only = { kind: RingKind.RING_KIND_ALL, ranks };
    const link = await exchange.openLink({
      ...{ ...options, ...neighbours, rank: ranks[options.rank]!, ring: only },
      signal: ending.signal,
    });
    ring = createRing({ ...options, link });
  },
  async sum({ memory, memoryId, byteOffset, length }) {
    assert(ring !== null, 'a lane is opened before it sums');
    if (memory !== undefined) memories.set(memoryId, adoptMemory(memory, lane));
    const vector = new Float32Array(memories.get(memoryId)!, byteOffset, length);
    interruption = new AbortController();
    await ring.allReduce(vector, { signal: interruption.signal });
  },
  interrupt: (error) => interruption.abort(RondoError.fromPlain(error)),
  end: (error) => ending.abort(RondoError.fromPlain(error)),
});
