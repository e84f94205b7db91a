import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allocateSumMemory } from '../../../worker/arithmetic/reduction-vector.js';
import type { Summary } from '../../../worker/model/exact-sum.js';
import {
  type ImageBatch,
  openProgram,
  type Placed,
  type Program,
  type ProgramOptions,
} from '../../../worker/model/program.js';
import { keyedBatches } from '../../support/tensorflow/keyed-batches.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { sameBits } from '../../support/tensorflow/same-bits.js';
import { openUnsplitGradients } from '../../support/tensorflow/unsplit-gradients.js';

type PixelOptions = ProgramOptions & { input?: 'pixels' };

const plain: PixelOptions = {
  arch: 'resnet18',
  classes: 5,
  size: 32,
  presize: 36,
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

/** A rank's sum of some micro-batches, on a grid where nothing overflows. */
function sumOf(program: Program, batches: readonly Placed<ImageBatch>[], microBatches = 3) {
  const { length, gradients, gradientLength, parts } = program.reduction('all');
  const { vector, own } = allocateSumMemory(length);
  const largest = new Float32Array(gradients.length).fill(50);
  const request = { trainable: 'all', microBatches, largest, vector, own } as const;
  const summaries = parts.map((_, part) => program.gradientPart(part, batches, request));
  expect(summaries.slice(0, -1).every((each) => each === null)).toBe(true);
  return { sums: vector.slice(0, gradientLength), summary: summaries.at(-1)! };
}

test('a sum that nobody wants any more ends before the next run', () => {
  const program = openProgram(plain);
  program.load(plausibleState(program.state));
  const { length, gradients } = program.reduction('all');
  const { vector, own } = allocateSumMemory(length);
  const largest = new Float32Array(gradients.length).fill(50);
  const pieces = keyedBatches(plain, [4, 6, 3]);
  for (const allowed of [0, 1, 2]) {
    let runs = 0;
    const proceed = () => {
      if (runs === allowed) throw new Error('given up');
      runs += 1;
    };
    const request = { trainable: 'all', microBatches: 3, largest, vector, own, proceed } as const;
    expect(() => program.gradientPart(0, pieces, request)).toThrow('given up');
    expect(runs).toBe(allowed);
  }
  program.close();
});

function joined(summaries: readonly Summary[]): number[] {
  return summaries.flatMap(({ rows }) => [...rows]);
}

describe.each([
  ['float32', plain],
  ['bfloat16', { ...plain, precision: 'bfloat16' }],
  ['class weights, mixup and clipping', weighted],
  ['bottlenecks and a linear head', { ...plain, arch: 'resnet50', head: 'linear' }],
] as const)('%s', (_, options) => {
  test('a micro-batch has the same bits in parts, at once, in a graph without parts, and among others', () => {
    const program = openProgram(options);
    const { length, gradientLength, tail } = program.reduction('all');
    const unsplit = openUnsplitGradients(options, program.reduction('all'));
    const state = plausibleState(program.state);
    program.load(state);
    unsplit.load(state);
    const pieces = keyedBatches(options, [4, 6, 3]);
    const singles = pieces.map((piece) => {
      const expected = unsplit.gradients(piece);
      const atOnce = new Float32Array(length);
      program.gradients([piece], 'all', atOnce);
      expect(sameBits(atOnce, expected)).toBe(true);
      // In parts, as the only and as the last one.
      const { sums, summary } = sumOf(program, [piece]);
      expect(sameBits(summary.rows, expected.subarray(gradientLength))).toBe(true);
      expect(expected[tail.samples]).toBe(piece.batch.labels.length);
      return { sums, summary };
    });
    // The first and the second are computed at once, the third in parts.
    const together = sumOf(program, pieces);
    expect([...together.summary.rows]).toEqual(joined(singles.map(({ summary }) => summary)));
    const [first, ...others] = singles.map(({ sums }) => new Int32Array(sums.buffer));
    for (const other of others) for (let at = 0; at < other.length; at += 1) first![at]! += other[at]!;
    expect(sameBits(new Float32Array(first!.buffer), together.sums)).toBe(true);
    const magnitudes = [...together.summary.largest].map((_, index) =>
      Math.max(...singles.map(({ summary }) => summary.largest[index]!)),
    );
    expect([...together.summary.largest]).toEqual(magnitudes);
    program.close();
    unsplit.close();
  });
});

describe('of one program', () => {
  let program: Program;
  beforeAll(() => {
    program = openProgram(plain);
    program.load(plausibleState(program.state));
  });
  afterAll(() => program.close());

  test('a worker that is alone computes them at once, and has what a ring leaves, bit for bit', () => {
    const { length, gradients, gradientLength } = program.reduction('all');
    for (const counts of [[4], [4, 3, 5]]) {
      const pieces = keyedBatches(plain, counts);
      const { sums, summary } = sumOf(program, pieces);
      const { vector, own } = allocateSumMemory(length);
      const largest = new Float32Array(gradients.length).fill(50);
      const request = { trainable: 'all', microBatches: 3, largest, vector, own } as const;
      expect(program.sumAlone(pieces, request)).toEqual(summary);
      const finished = new Float32Array(new Int32Array(sums.buffer));
      expect(sameBits(vector.subarray(0, gradientLength), finished)).toBe(true);
      expect(() => program.sumAlone([], request)).toThrow(
        'a worker that is alone computes every micro-batch',
      );
    }
  });

  test('a sum goes on where one before it ended, whatever became of its vector, with the same bits', () => {
    const { length, gradients, gradientLength, parts } = program.reduction('all');
    const pieces = keyedBatches(plain, [4, 6, 3, 5]);
    const expected = sumOf(program, pieces, 4);
    const divisions = [
      [[0], [1, 2, 3]],
      [[0, 1, 2], [3]],
      [[0, 1, 2, 3], []],
      [[0], [1], [2, 3]],
    ];
    for (const division of divisions) {
      const { vector, own } = allocateSumMemory(length);
      const largest = new Float32Array(gradients.length).fill(50);
      const request = { trainable: 'all', microBatches: 4, largest, vector, own } as const;
      let summary: Summary | null = null;
      for (const [index, positions] of division.entries()) {
        const batches = positions.map((position) => pieces[position]!);
        for (const part of parts.keys()) {
          summary = program.gradientPart(part, batches, { ...request, continues: index > 0 });
        }
        const sums = vector.slice(0, gradientLength);
        // As a ring leaves it, and a state that was copied beside it.
        vector.fill(Number.NaN);
        program.save();
        program.checksums();
        if (index === division.length - 1) expect(sameBits(sums, expected.sums)).toBe(true);
      }
      expect(summary).toEqual(expected.summary);
    }
  });

  test('a part fills its own place, and no other', () => {
    const { parts, length, gradientLength } = program.reduction('all');
    const pieces = keyedBatches(plain, [4]);
    const { vector, own } = allocateSumMemory(length);
    const ints = new Int32Array(vector.buffer, 0, length).fill(123_456_789);
    const request = { trainable: 'all', microBatches: 1, largest: null, vector, own } as const;
    for (const [index, { start, end }] of parts.entries()) {
      program.gradientPart(index, pieces, request);
      expect(
        ints.subarray(start, Math.min(end, gradientLength)).every((value) => value !== 123_456_789),
      ).toBe(true);
      expect(ints.subarray(end).every((value) => value === 123_456_789)).toBe(true);
    }
  });

  test('parts that are not asked for are forgotten by the next sum', () => {
    const { length } = program.reduction('all');
    const [first, second] = [keyedBatches(plain, [4]), keyedBatches(plain, [6, 3])];
    const expected = sumOf(program, second);
    const request = {
      trainable: 'all',
      microBatches: 1,
      largest: null,
      ...allocateSumMemory(length),
    } as const;
    program.gradientPart(0, first, request);
    const found = sumOf(program, second);
    expect(sameBits(found.sums, expected.sums)).toBe(true);
    expect(found.summary).toEqual(expected.summary);
  });

  test('of no micro-batch it is zero, with nothing beside it', () => {
    const { sums, summary } = sumOf(program, []);
    expect(sums.every((value) => Object.is(value, 0))).toBe(true);
    expect(summary.rows).toHaveLength(0);
    expect(summary.largest.every((value) => value === 0)).toBe(true);
  });
});
