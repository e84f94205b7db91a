import { describe, expect, test } from 'vitest';
import { allocateShared } from '../../../runtime/shared-buffer.js';
import { openProgram, type ProgramOptions } from '../../../worker/model/program.js';
import { keyedBatches } from '../../support/tensorflow/keyed-batches.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';
import { openUnsplitGradients } from '../../support/tensorflow/unsplit-gradients.js';

type PixelOptions = ProgramOptions & { input?: 'pixels' };

const plain: PixelOptions = {
  arch: 'resnet18',
  classes: 5,
  size: 64,
  presize: 72,
  precision: 'float32',
  dropout: [0.25, 0.5],
  trainable: ['all'],
  weightDecay: 0.01,
};
const weighted: PixelOptions = {
  ...plain,
  labelSmoothing: 0.1,
  classWeights: [1, 2, 0.5, 1, 3],
  mixup: true,
  clipNorm: 1,
};

describe.each([
  ['float32', plain],
  ['bfloat16', { ...plain, precision: 'bfloat16' }],
  ['class weights, mixup and clipping', weighted],
  ['bottlenecks and a linear head', { ...plain, arch: 'resnet50', head: 'linear' }],
] as const)('%s', (_, options) => {
  test('computed in parts, a sum has the bits of one that is computed at once', () => {
    const program = openProgram(options);
    const reduction = program.reduction('all');
    const unsplit = openUnsplitGradients(options, reduction);
    const state = plausibleState(program.state);
    program.load(state);
    unsplit.load(state);
    const vector = new Float32Array(allocateShared(4 * reduction.length), 0, reduction.length);
    for (const counts of [[4], [4, 6, 3], [5]]) {
      const pieces = keyedBatches(options, counts);
      vector.fill(Number.NaN);
      program.gradients(pieces, 'all', vector);
      expect(vector[reduction.tail.samples]).toBe(counts.reduce((sum, count) => sum + count));
      expect(sameBits(vector, unsplit.gradients(pieces))).toBe(true);
    }
    program.close();
    unsplit.close();
  });
});

test('a worker that is alone, but has to know their norm, computes them at once, with the same bits', () => {
  const [inParts, atOnce] = [openProgram(plain), openProgram({ ...plain, clipNorm: 1, alone: true })];
  expect([inParts, atOnce].map((program) => program.reduction('all').parts.length)).toEqual([3, 1]);
  const vectors = [inParts, atOnce].map((program) => {
    program.load(plausibleState(program.state));
    const { length } = program.reduction('all');
    const vector = new Float32Array(allocateShared(4 * length), 0, length);
    program.gradients(keyedBatches(plain, [4, 3]), 'all', vector);
    program.close();
    return vector;
  });
  expect(sameBits(vectors[0]!, vectors[1]!)).toBe(true);
});

test('a part fills its own place, and no other', () => {
  const program = openProgram(plain);
  program.load(plausibleState(program.state));
  const { parts, length } = program.reduction('all');
  const pieces = keyedBatches(plain, [4]);
  const vector = new Float32Array(length).fill(Number.NaN);
  for (const [index, { start, end }] of parts.entries()) {
    program.gradientPart(index, pieces, 'all', vector);
    expect(vector.subarray(start, end).every(Number.isFinite)).toBe(true);
    expect(vector.subarray(end).every(Number.isNaN)).toBe(true);
  }
  program.close();
});

test('parts that are not asked for are forgotten by the next sum', () => {
  const program = openProgram(plain);
  program.load(plausibleState(program.state));
  const { length } = program.reduction('all');
  const [first, second] = [keyedBatches(plain, [4]), keyedBatches(plain, [6, 3])];
  const [expected, vector] = [new Float32Array(length), new Float32Array(length)];
  program.gradients(second, 'all', expected);
  program.gradientPart(0, first, 'all', vector);
  program.gradients(second, 'all', vector);
  expect(sameBits(vector, expected)).toBe(true);
  program.close();
});
