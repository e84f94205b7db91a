import { afterEach, describe, expect, test } from 'vitest';
import type { Trainable } from '../../../plan/run-config.js';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { openProgram, type Program, type ProgramOptions } from '../../../worker/model/program.js';
import { keyedBatches } from '../../support/tensorflow/keyed-batches.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';

type PixelOptions = ProgramOptions & { input?: 'pixels' };

const plain: PixelOptions = {
  ...{ arch: 'resnet18', classes: 5, size: 64, presize: 72, precision: 'float32' },
  ...{ dropout: [0.25, 0.5], trainable: ['all', 'frozen'], weightDecay: 0.01 },
};

let opened: Program[] = [];
afterEach(() => {
  for (const program of opened) program.close();
  opened = [];
});

function open(options: PixelOptions): Program {
  const program = openProgram(options);
  opened.push(program);
  program.load(plausibleState(program.state));
  return program;
}

function vectorOf(program: Program, trainable: Trainable): Float32Array {
  const { length } = program.reduction(trainable);
  return new Float32Array(allocateShared(4 * length), 0, length).fill(Number.NaN);
}

describe.each([
  ['float32', plain],
  ['bfloat16', { ...plain, precision: 'bfloat16' }],
  [
    'class weights, mixup and a moving average',
    { ...plain, classWeights: [1, 2, 0.5, 1, 3], mixup: true, averaged: true },
  ],
] as const)('a worker that is alone: %s', (_, options) => {
  test('comes to the states of one that hands its gradients over, bit for bit', () => {
    const ways = [{}, { alone: true }, { alone: true, onGpu: true }];
    const programs = ways.map((way) => open({ ...options, ...way }));
    const steps: readonly [Trainable, readonly number[]][] = [
      ['frozen', [4]],
      ['frozen', [4, 3]],
      ['all', [4, 6, 3]],
      ['all', [5]],
    ];
    for (const [index, [trainable, counts]] of steps.entries()) {
      const pieces = keyedBatches(options, counts, index + 1);
      const [tail, ...otherTails] = programs.map((program) => {
        const vector = vectorOf(program, trainable);
        program.gradients(pieces, trainable, vector);
        expect(program.isFinite(vector, trainable)).toBe(true);
        const update = { learningRates: [1e-3, 2e-3, 3e-3], momentum: 0.9, averageDecay: 0.9 };
        program.apply(vector, { ...update, trainable });
        return vector.slice(program.reduction(trainable).tail.lossSum);
      });
      expect(otherTails.map((other) => sameBits(other, tail!))).toEqual([true, true]);
      const [state, ...otherStates] = programs.map((program) => program.save());
      expect(otherStates.map((other) => sameBits(other, state!))).toEqual([true, true]);
    }
  });
});

test.each([false, true])(
  'what is kept is judged too, and forgotten by the next sum; on a GPU: %j',
  (onGpu) => {
    const program = open({ ...plain, alone: true, onGpu });
    const vector = vectorOf(program, 'all');
    const [good] = keyedBatches(plain, [4], 1);
    const state = plausibleState(program.state);
    const broken = state.slice();
    broken[program.state.parameters.at(-1)!.offset] = Number.POSITIVE_INFINITY;
    program.load(broken);
    program.gradients([good!], 'all', vector);
    // As if the loss did not show it.
    vector[program.reduction('all').tail.lossSum] = 1;
    expect(program.isFinite(vector, 'all')).toBe(false);
    program.load(state);
    program.gradients([good!], 'all', vector);
    expect(program.isFinite(vector, 'all')).toBe(true);
    vector[program.reduction('all').tail.lossSum] = Number.NaN;
    expect(program.isFinite(vector, 'all')).toBe(false);
  },
);

test('a step without a micro-batch is nothing that a worker alone has', () => {
  const program = open({ ...plain, alone: true });
  expect(() => program.gradients([], 'all', vectorOf(program, 'all'))).toThrow('every micro-batch');
});

test('no step leaves a tensor behind', () => {
  const program = open({ ...plain, alone: true });
  const vector = vectorOf(program, 'all');
  const before = program.tensorHandles();
  program.gradients(keyedBatches(plain, [4, 3], 1), 'all', vector);
  program.isFinite(vector, 'all');
  program.apply(vector, { trainable: 'all', learningRates: [0, 0, 0], momentum: 0.9 });
  expect(program.tensorHandles()).toBe(before);
});
