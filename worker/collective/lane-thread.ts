import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { RondoError } from '../../runtime/errors.js';
import { tokenCredentials } from '../../runtime/grpc/credentials.js';
import { failCall } from '../../runtime/grpc/server.js';
import { createRing } from './all-reduce.js';
import { adoptMemory } from './codec/reduction-vector.js';
import type { FromLane, LaneCall, LaneSettings, ToLane } from './lanes.js';
import type { Ring } from './rounds.js';
import { createExchange } from './transport/grpc/grpc-link.js';
import { startPeerServer } from './transport/grpc/peer-server.js';

// A lane's program: an exchange with a server of its own, in a thread of its own. It sums its blocks where
// the vector lies.

assert(parentPort, 'runs in a worker thread');
const port = parentPort;
const { listen, token } = workerData as LaneSettings;
const credentials = tokenCredentials(token);
const exchange = createExchange(credentials);
const memories = new Map<number, SharedArrayBuffer>();
let ring: Ring | null = null;
let lane = 0;
/** Ends the call that is under way. */
let interruption = new AbortController();
/** Ends the generation's link. */
let ending = new AbortController();

port.on('message', (message: ToLane) => {
  switch (message.kind) {
    case 'call':
      void answer(message.id, message.call);
      break;
    case 'interrupt':
      interruption.abort(RondoError.fromPlain(message.error));
      break;
    case 'end':
      ending.abort(RondoError.fromPlain(message.error));
  }
});

const server = await startPeerServer(listen, credentials, {
  exchange: exchange.handler,
  copyState: (call) => failCall(call, new RondoError('failed-precondition', 'a lane carries gradients only')),
});
tell({ kind: 'listening', address: server.address });

async function answer(id: number, call: LaneCall): Promise<void> {
  try {
    await carryOut(call);
    tell({ kind: 'answer', id, error: null });
  } catch (thrown) {
    tell({ kind: 'answer', id, error: RondoError.from(thrown).toPlain() });
  }
}

async function carryOut(call: LaneCall): Promise<void> {
  if (call.name === 'open') {
    const { predecessorAddress, ring: options } = call;
    lane = options.lane.index;
    ending = new AbortController();
    memories.clear();
    const link = await exchange.openLink({ ...options, predecessorAddress, signal: ending.signal });
    ring = createRing({ ...options, link });
    return;
  }
  assert(ring !== null, 'a lane is opened before it sums');
  if (call.memory !== undefined) memories.set(call.memoryId, adoptMemory(call.memory, lane));
  const vector = new Float32Array(memories.get(call.memoryId)!, call.byteOffset, call.length);
  interruption = new AbortController();
  await ring.allReduce(vector, { exactFrom: call.exactFrom, signal: interruption.signal });
}

function tell(message: FromLane): void {
  port.postMessage(message);
}
