import { afterAll, describe, expect, test } from 'vitest';
import { sumAlone } from '../../../bench/support/lone-sum.js';
import type { Trainable } from '../../../plan/run-config.js';
import { allocateSumMemory } from '../../../worker/arithmetic/reduction-vector.js';
import { openProgram, type Program, type ProgramOptions } from '../../../worker/model/program.js';
import { keyedBatches } from '../../support/tensorflow/keyed-batches.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';

const options: ProgramOptions & { input?: 'pixels' } = {
  ...{ arch: 'resnet18', classes: 5, size: 32, presize: 40, precision: 'float32' },
  ...{ dropout: [0.25, 0.5], trainable: ['all', 'frozen'], weightDecay: 0.01 },
  ...{ classWeights: [1, 2, 0.5, 1, 3], mixup: true, averaged: true },
};

let opened: Program[] = [];
afterAll(() => {
  for (const program of opened) program.close();
  opened = [];
});

function open(changes: Partial<typeof options>) {
  const program = openProgram({ ...options, ...changes });
  opened.push(program);
  const memories = {
    all: allocateSumMemory(program.reduction('all').length),
    frozen: allocateSumMemory(program.reduction('frozen').length),
  };
  const update = { learningRates: [1e-3, 2e-3, 3e-3], momentum: 0.9, averageDecay: 0.9 };
  return {
    program,
    step(trainable: Trainable, counts: readonly number[], seed: number) {
      const memory = memories[trainable];
      const found = sumAlone(program, memory, keyedBatches(options, counts, seed), trainable);
      expect(found.verdict).toBe('fits');
      program.apply(memory.vector, { ...update, ...found, trainable });
      return { ...found, told: memory.vector.slice(program.reduction(trainable).gradientLength) };
    },
  };
}

const steps: readonly [Trainable, readonly number[]][] = [
  ['frozen', [4, 3]],
  ['all', [4, 6, 3]],
  ['all', [5]],
];

function expectSameSteps(clipNorm: number | null) {
  const [host, device] = [open({ clipNorm, onGpu: false }), open({ clipNorm, onGpu: true })];
  for (const { program } of [host, device]) program.load(plausibleState(program.state));
  for (const [seed, [trainable, counts]] of steps.entries()) {
    const [expected, found] = [host, device].map(({ step }) => step(trainable, counts, seed + 1));
    expect(found).toEqual(expected);
    expect(sameBits(device.program.save(), host.program.save())).toBe(true);
  }
  return device;
}

describe('a worker that is alone on a GPU', () => {
  test('hands its gradients over where their norm is bound, with the states of one on a CPU, bit for bit', () => {
    expectSameSteps(1);
  });

  test('else keeps them there, with the same bits, judges them, and leaves no tensor behind', () => {
    const { program, step } = expectSameSteps(null);
    const memory = allocateSumMemory(program.reduction('all').length);
    const state = plausibleState(program.state);
    const broken = state.slice();
    broken[program.state.parameters.at(-1)!.offset] = Number.POSITIVE_INFINITY;
    program.load(broken);
    expect(sumAlone(program, memory, keyedBatches(options, [4]), 'all').verdict).toBe('not-finite');
    // What was kept then is forgotten by the next sum.
    program.load(state);
    const before = program.tensorHandles();
    step('all', [4, 3], 1);
    expect(program.tensorHandles()).toBe(before);
  });
});
