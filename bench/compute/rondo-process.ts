// One worker's compute in a process of its own: what a step asks of TensorFlow, without a loader and without
// a ring. Answers a line of JSON to each task on standard input.
import { presizeFor } from '../../coordinator/run/run-config.js';
import { drawAugmentation, lighting, projectiveTransform } from '../../plan/augmentation.js';
import type { Trainable } from '../../plan/run-config.js';
import { askForSlices, computeSliceMs } from '../../runtime/cores.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { allocateSumMemory } from '../../worker/arithmetic/reduction-vector.js';
import { initialState } from '../../worker/model/initialize.js';
import {
  type ImageBatch,
  type NormalizedBatch,
  openProgram,
  type Program,
  type ProgramOptions,
} from '../../worker/model/program.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { sumAlone } from '../support/lone-sum.js';
import { type Answer, type Task, taskSchema } from './implementation.js';
import { placeSchema } from './node-processes.js';
import type { Span } from './throughput.js';

const setting = readPlace(placeSchema);
const { arch, size, classes, input, precision } = setting;
const presize = presizeFor(size);
const options: ProgramOptions & { input?: undefined } = {
  ...{ arch, classes, size, presize, dropout: [0.25, 0.5], weightDecay: 0.01 },
  precision: precision === 'bfloat16' ? precision : 'float32',
  trainable: ['all', 'frozen'],
};

// As a worker's compute thread does.
askForSlices(computeSliceMs);
const carryOut =
  input === 'pixels'
    ? openWork(openProgram(options), pixelBatch)
    : openWork(openProgram({ ...options, input }), normalizedBatch);

await answerLines(taskSchema, carryOut);

function openWork<B extends ImageBatch | NormalizedBatch>(
  program: Program<B>,
  batchOf: (count: number) => B,
) {
  program.load(initialState(program.state, 1));
  const sums = {
    all: allocateSumMemory(program.reduction('all').length),
    frozen: allocateSumMemory(program.reduction('frozen').length),
  };
  let step = 0;

  const batches = new Map<number, B>();
  const ready = (count: number): B => {
    const found = batches.get(count) ?? batchOf(count);
    batches.set(count, found);
    return found;
  };
  const train = (fed: B, trainable: Trainable): number => {
    const { vector } = sums[trainable];
    step += 1;
    const found = sumAlone(program, sums[trainable], [{ batch: fed, key: [1, step] }], trainable);
    if (found.verdict === 'fits') {
      program.apply(vector, { ...found, trainable, learningRates: [1e-4, 1e-4, 1e-4], momentum: 0.95 });
    }
    return vector[program.reduction(trainable).tail.lossSum]! / fed.labels.length;
  };
  const predict = (fed: B): number => {
    const { labels: _, ...images } = fed;
    return program.predict(images)[0]!;
  };

  return ({ steps, work, batch = setting.batch }: Task): Answer => {
    const fed = ready(batch);
    const spans: Span[] = [];
    let loss = Number.NaN;
    const cpuBefore = process.cpuUsage();
    for (let index = 0; index < steps; index += 1) {
      const start = monotonicSeconds();
      loss = work === 'predict' ? predict(fed) : train(fed, work);
      spans.push([start, monotonicSeconds()]);
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    return { spans, cpuSeconds: (user + system) / 1e6, loss };
  };
}

/** Noise, augmented as a run's first epoch would. */
function pixelBatch(batch: number): ImageBatch {
  const pixels = new Uint8Array(allocateShared(batch * presize ** 2 * 3), 0, batch * presize ** 2 * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = Math.floor(256 * Math.random());
  const draws = Array.from({ length: batch }, (_, sample) => drawAugmentation(1, 0, sample));
  return {
    pixels,
    labels: labels(batch),
    transforms: Float32Array.from(draws.flatMap((draw) => [...projectiveTransform(draw, 1, presize, size)])),
    lighting: Float32Array.from(draws.flatMap((draw) => lighting(draw))),
  };
}

function normalizedBatch(batch: number): NormalizedBatch {
  const pixels = sharedFloats(batch * size ** 2 * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = 2 * Math.random() - 1;
  return { pixels, labels: labels(batch) };
}

function labels(batch: number): Int32Array {
  return Int32Array.from({ length: batch }, (_, sample) => sample % classes);
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(allocateShared(4 * length), 0, length);
}

function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9;
}
