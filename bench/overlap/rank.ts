// One rank in a process and a network namespace of its own: a worker's compute thread, ring and step, on a
// batch that stays. Answers a line of JSON to each task on standard input.
import { createInterface } from 'node:readline';
import { drawAugmentation, lighting, projectiveTransform } from '../../plan/augmentation.js';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { adoptMemory } from '../../worker/arithmetic/reduction-vector.js';
import { createRing } from '../../worker/collective/all-reduce.js';
import { createExchange } from '../../worker/collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../../worker/collective/transport/grpc/peer-server.js';
import { startComputeThread } from '../../worker/compute/threaded-compute.js';
import type { LoadedBatch } from '../../worker/training/batches.js';
import type { Compute } from '../../worker/training/compute.js';
import { digestState } from '../../worker/training/state-digests.js';
import { type StepSettings, takeStep } from '../../worker/training/step.js';
import { benchCredentialsOf, benchNames } from '../support/credentials.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { type Answer, type StepTimes, settingSchema, type Task, taskSchema } from './task.js';

const { rank, addresses, arch, size, batch, certificate } = readPlace(settingSchema);
const credentials = benchCredentialsOf(certificate);
const classes = 37;
const presize = Math.round(size * 1.15);
const worldSize = addresses.length;
const { signal } = new AbortController();

const { neighbourMs } = deadlinesOf(defaultSilenceMs);
const exchange = createExchange(credentials, { sharedMemory: null, waitMs: () => neighbourMs });
await listen(addresses[rank]!);
const compute = startComputeThread();
const { state, reductions, vectors } = await compute.open({
  ...{ arch, classes, size, presize, precision: 'float32', dropout: [0.25, 0.5], weightDecay: 0.01 },
  trainable: ['all'],
});
const layout = reductions.all!;
const flat = new Float32Array(allocateShared(4 * state.length), 0, state.length);
await compute.initialize(flat, 1, null);
const vector = new Float32Array(adoptMemory(vectors.all!, 0), 0, layout.length);
const fed = noiseBatch();
let [generation, stepsTaken] = [0n, 0];

const lines = createInterface({ input: process.stdin });
// Also in the midst of a task: the others may be gone.
lines.once('close', () => process.exit(0));
await answerLines(taskSchema, measure, lines);

async function listen(address: string): Promise<void> {
  const service = { exchange: exchange.handler, copyState: (call: { end(): void }) => call.end() };
  await startPeerServer(address, credentials, service, exchange.connect);
}

/** Every task is a generation of its own. */
async function measure({ wire, overlapped, steps }: Task): Promise<Answer> {
  generation += 1n;
  const predecessorAddress = addresses[(rank + worldSize - 1) % worldSize]!;
  const link = await exchange.openLink({
    generation,
    rank,
    worldSize,
    names: benchNames(worldSize),
    transport: 'sockets',
    predecessorAddress,
    signal,
  });
  const ring = createRing({ rank, worldSize, generation, link, wire });
  const barrier = () => ring.allGather(new Uint8Array(0), { signal });
  const context = {
    config: { seed: 1, mixup: 0, emaDecay: null },
    compute: overlapped ? compute : allAtOnce(compute),
    ...{ ring, isAlone: false, layout, vector, signal },
    requests: () => ({ keep: false, stop: false, snapshot: false }),
    keep() {},
    abandoned: signal,
  };
  const times: StepTimes[] = [];
  const cpuBefore = process.cpuUsage();
  for (let index = 0; index < steps; index += 1) {
    await barrier();
    const startMs = performance.now();
    const step = stepsTaken++;
    const rates = { learningRates: [1e-4, 1e-4, 1e-4], momentum: 0.95 };
    const microBatches = addresses.map((_, each) => ({ start: each * batch, end: (each + 1) * batch }));
    const settings: StepSettings = { step, trainable: 'all', microBatches, ...rates };
    const { cost } = await takeStep(settings, [fed], { microBatches: [rank], computed: [] }, context);
    const { gradients, ring: atWork, ringExposed } = cost;
    times.push({ gradients, ring: atWork, ringExposed, step: (performance.now() - startMs) / 1000 });
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  await barrier();
  link.close();
  await compute.save(flat);
  const { state: digest } = await digestState(flat, state);
  return { times, cpuSeconds: (user + system) / 1e6 / steps, digest };
}

/** Parts are known only when the last one is: the ring then has all of its work after the gradients. */
function allAtOnce(whole: Compute): Compute {
  let latest: ReturnType<Compute['gradientPart']> = Promise.resolve(null);
  return {
    ...whole,
    gradientPart(...inputs) {
      latest = whole.gradientPart(...inputs);
      // A step asks for all of its parts before it waits for the first.
      return Promise.resolve().then(() => latest);
    },
  };
}

/** Noise, augmented as a run's first epoch would. */
function noiseBatch(): LoadedBatch {
  const pixels = new Uint8Array(allocateShared(batch * presize ** 2 * 3), 0, batch * presize ** 2 * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = Math.floor(256 * Math.random());
  const ids = Uint32Array.from({ length: batch }, (_, sample) => rank * batch + sample);
  const draws = [...ids].map((id) => drawAugmentation(1, 0, id));
  return {
    ids,
    pixels,
    labels: Int32Array.from(ids, (id) => id % classes),
    transforms: Float32Array.from(draws.flatMap((draw) => [...projectiveTransform(draw, 1, presize, size)])),
    lighting: Float32Array.from(draws.flatMap((draw) => lighting(draw))),
    release() {},
  };
}
