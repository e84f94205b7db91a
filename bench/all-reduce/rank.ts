// One rank in a process of its own, as a worker has it. Answers a line of JSON to each on standard input.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { allocateReductionVector } from '../../worker/arithmetic/reduction-vector.js';
import { type LaneThread, startLaneThread } from '../../worker/collective/lanes.js';
import { openRing } from '../../worker/collective/open-ring.js';
import type { Ring } from '../../worker/collective/rounds.js';
import { createExchange } from '../../worker/collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../../worker/collective/transport/grpc/peer-server.js';
import { benchCredentialsOf, benchNames } from '../support/credentials.js';
import { answerLines, readPlace } from '../support/line-process.js';
import type { RankFigures } from './implementation.js';
import { type Measurement, placeSchema, questionSchema, sharesVectors } from './rondo.js';

const { signal } = new AbortController();
const { way, lanes: laneCount, host, certificate, sharedMemory } = readPlace(placeSchema);
const credentials = benchCredentialsOf(certificate);
const { neighbourMs } = deadlinesOf(defaultSilenceMs);
const exchange = createExchange(credentials, {
  sharedMemory,
  waitMs: () => neighbourMs,
});
const lanes: LaneThread[] = [];
for (let lane = 1; lane < laneCount; lane += 1) {
  lanes.push(
    await startLaneThread({
      address: `${host}:0`,
      advertise: null,
      identity: credentials.identity,
      waitMs: neighbourMs,
    }),
  );
}
/** Meetings before the first measurement: a worker's code has long been compiled. */
const warmUpRounds = 300;
let generation = 0n;

const lines = createInterface({ input: process.stdin });
// Also in the midst of a measurement: the others may be gone.
lines.once('close', () => process.exit(0));
await answerLines(
  questionSchema,
  async (question) => (question.kind === 'listen' ? { address: await listen() } : measure(question)),
  lines,
);

async function listen(): Promise<string> {
  const service = { exchange: exchange.handler, copyState: (call: { end(): void }) => call.end() };
  const { address } = await startPeerServer(`${host}:0`, credentials, service, exchange.connect);
  return address;
}

/** Every measurement is a generation of its own. */
async function measure({ rank, addresses, task }: Measurement): Promise<RankFigures> {
  const { length, wire, rounds } = task;
  const worldSize = addresses.length;
  generation += 1n;
  const vector = allocateReductionVector(length);
  const ring = await openRing({
    ...{
      exchange,
      lanes,
      generation,
      rank,
      worldSize,
      names: benchNames(worldSize),
      addresses,
      wire,
      signal,
    },
    transport: way.startsWith('grpc') ? 'grpc' : 'sockets',
    vectors: sharesVectors(way) ? [vector] : [],
  });

  const ints = new Int32Array(vector.buffer, vector.byteOffset, length);
  ints.fill(rank + 1);
  await ring.allReduce(vector, { signal });
  const sum = (worldSize * (worldSize + 1)) / 2;
  assert(
    vector.every((value) => value === sum),
    'the sum is wrong',
  );
  vector.fill(0);
  if (generation === 1n) for (let round = 0; round < warmUpRounds; round += 1) await barrier(ring);

  const seconds: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let round = 0; round < rounds; round += 1) {
    await barrier(ring);
    const startMs = performance.now();
    await ring.allReduce(vector, { signal });
    seconds.push((performance.now() - startMs) / 1000);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  await barrier(ring);
  ring.close();
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** Nobody leaves before all have come. */
async function barrier(ring: Ring): Promise<void> {
  await ring.allGather(new Uint8Array(0), { signal });
}
