// A worker's program on the device that its environment shows, for checks: answers a line of JSON to each
// question on standard input.
import { createHash } from 'node:crypto';
import { presizeFor } from '../../coordinator/run/run-config.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { allocateSumMemory } from '../../worker/arithmetic/reduction-vector.js';
import type { TensorSpec } from '../../worker/model/blocks.js';
import { gradientOf } from '../../worker/model/gradient-of.js';
import { initialState } from '../../worker/model/initialize.js';
import { volume } from '../../worker/model/parameters.js';
import { type ImageBatch, type Keyed, openProgram, type Program } from '../../worker/model/program.js';
import { loadBinding } from '../../worker/tensorflow/binding.js';
import { answerLines, readPlace } from '../support/line-process.js';
import { sumAlone } from '../support/lone-sum.js';
import { caseBatches } from './case.js';
import { type CaseFigures, figuresOf } from './figures.js';
import {
  type Answers,
  type HandOverTimes,
  placeSchema,
  programPrecision,
  type Question,
  questionSchema,
} from './place.js';

const place = readPlace(placeSchema);
const presize = presizeFor(place.size);
const seed = 1;
const update = { trainable: 'all', learningRates: [1e-3, 1e-3, 1e-3], momentum: 0.9 } as const;
let opened: Program | undefined;

/** The program at the start of its training. */
function programAtStart(): Program {
  const { arch, classes, size } = place;
  opened ??= openProgram({
    ...{ arch, classes, size, presize, precision: programPrecision(place) },
    ...{ dropout: [0.25, 0.5], weightDecay: 0.01, trainable: ['all'] },
  });
  opened.load(initialState(opened.state, seed));
  return opened;
}

function batches(): Keyed<ImageBatch>[] {
  return caseBatches(presize, place.size, place.classes);
}

function sharedFloats(length: number): Float32Array {
  return new Float32Array(allocateShared(4 * length), 0, length);
}

function computeCase(): CaseFigures {
  const program = programAtStart();
  const [given, reduction] = [batches(), program.reduction('all')];
  const vector = sharedFloats(reduction.length);
  program.gradients(given, 'all', vector);
  const gradients = reduction.gradients.map(({ name }) => [
    name,
    figuresOf(name, gradientOf(reduction, vector, name).values),
  ]);
  const statistics = figuresByName(reduction.statistics, vector);
  program.apply(vector, update);
  const state = program.save();
  const [parameters, running] = [program.state.parameters, program.state.statistics].map((specs) =>
    figuresByName(specs, state),
  );
  // The batches' own statistics, and parameters as they began: evaluation overflows with an untrained
  // network's statistics.
  state.set(initialState(program.state, seed).subarray(0, program.state.parameterLength));
  for (const [index, { offset, shape }] of program.state.statistics.entries()) {
    const from = reduction.statistics[index]!.offset;
    for (let i = 0; i < volume(shape); i += 1) state[offset + i] = vector[from + i]! / given.length;
  }
  program.load(state);
  const { losses, probabilities } = program.evaluate(given[0]!.batch);
  return {
    gradients: Object.fromEntries(gradients),
    statistics,
    parameters: parameters!,
    running: running!,
    evaluation: {
      losses: figuresOf('losses', losses),
      probabilities: figuresOf('probabilities', probabilities),
    },
  };
}

function figuresByName(specs: readonly TensorSpec[], flat: Float32Array) {
  return Object.fromEntries(
    specs.map(({ name, shape, offset }) => [
      name,
      figuresOf(name, flat.subarray(offset, offset + volume(shape))),
    ]),
  );
}

function computeDigest(): Answers['digest'] {
  const program = programAtStart();
  const [given, memory] = [batches(), allocateSumMemory(program.reduction('all').length)];
  for (let step = 1; step <= 3; step += 1) {
    program.apply(memory.vector, { ...update, ...sumAlone(program, memory, given, 'all') });
  }
  const { buffer, byteOffset, byteLength } = program.save();
  return {
    sha256: createHash('sha256')
      .update(new Uint8Array(buffer, byteOffset, byteLength))
      .digest('hex'),
  };
}

function timeHandOver(batch: number, rounds: number): HandOverTimes {
  const program = programAtStart();
  const state = sharedFloats(program.state.length);
  const { length } = program.reduction('all');
  const [handedOver, memory] = [sharedFloats(length), allocateSumMemory(length)];
  const [{ batch: eight, key }] = batches() as [Keyed<ImageBatch>];
  const given = [{ batch: repeat(eight, batch), key }];
  const measureRound = () => ({
    save: timeOf(() => program.save(state)),
    load: timeOf(() => program.load(state)),
    gradients: timeOf(() => program.gradients(given, 'all', handedOver)),
    update: timeOf(() => program.apply(handedOver, update)),
    keptGradients: timeOf(() => sumAlone(program, memory, given, 'all')),
    keptUpdate: timeOf(() => program.apply(memory.vector, update)),
  });
  // Kernels are chosen and memory is taken in the first round.
  measureRound();
  return {
    stateBytes: state.byteLength,
    vectorBytes: handedOver.byteLength,
    rounds: Array.from({ length: rounds }, measureRound),
  };
}

/** The samples over and over, until there are `count`. */
function repeat(batch: ImageBatch, count: number): ImageBatch {
  const labels = Int32Array.from({ length: count }, (_, i) => batch.labels[i % batch.labels.length]!);
  const of = <A extends Uint8Array | Float32Array>(from: A, into: A): A => {
    for (let at = 0; at < into.length; at += from.length) {
      into.set(from.subarray(0, Math.min(from.length, into.length - at)), at);
    }
    return into;
  };
  const share = count / batch.labels.length;
  const bytes = batch.pixels.length * share;
  return {
    labels,
    pixels: of(batch.pixels, new Uint8Array(allocateShared(bytes), 0, bytes)),
    transforms: of(batch.transforms, new Float32Array(8 * count)),
    lighting: of(batch.lighting, new Float32Array(2 * count)),
  };
}

function timeOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function answer(question: Question): Answers[keyof Answers] {
  if (question.kind === 'probe') {
    const binding = loadBinding();
    return { version: binding.TF_Version, usesGpu: binding.isUsingGpuDevice() };
  }
  if (question.kind === 'case') return computeCase();
  if (question.kind === 'digest') return computeDigest();
  return timeHandOver(question.batch, question.rounds);
}

await answerLines(questionSchema, answer);
opened?.close();
