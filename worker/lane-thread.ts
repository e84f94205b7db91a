import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { status } from '@grpc/grpc-js';
import { RondoError } from '../runtime/errors.js';
import { createRing } from './collective/all-reduce.js';
import { createExchange } from './collective/grpc-link.js';
import { adoptMemory } from './collective/reduction-vector.js';
import type { Ring } from './collective/rounds.js';
import type { FromLane, LaneCall, ToLane } from './lanes.js';
import { startPeerServer } from './peer-server.js';

// A lane's program: an exchange with a server of its own, in a thread of its own. It sums its blocks where the vector lies.

assert(parentPort, 'runs in a worker thread');
const port = parentPort;
const { listen } = workerData as { listen: string };
const exchange = createExchange();
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
      interruption.abort(errorOf(message.error));
      break;
    case 'end':
      ending.abort(errorOf(message.error));
  }
});

const server = await startPeerServer(listen, {
  exchange: exchange.handler,
  copyState: (call) =>
    call.emit('error', { code: status.UNIMPLEMENTED, details: 'a lane carries gradients only' }),
});
tell({ kind: 'listening', address: server.address });

async function answer(id: number, call: LaneCall): Promise<void> {
  try {
    await carryOut(call);
    tell({ kind: 'answer', id, error: null });
  } catch (thrown) {
    const { code, message, remedy } = RondoError.from(thrown);
    tell({ kind: 'answer', id, error: { code, message, remedy } });
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

function errorOf({ code, message, remedy }: { code: RondoError['code']; message: string; remedy?: string }) {
  return new RondoError(code, message, { remedy });
}
