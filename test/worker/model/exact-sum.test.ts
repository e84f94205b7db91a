import { describe, expect, it } from 'vitest';
import { openStream } from '../../../plan/random.js';
import { allocateSumMemory } from '../../../worker/arithmetic/reduction-vector.js';
import { passSegment } from '../../../worker/collective/pass-segment.js';
import {
  encodeGradients,
  gridOf,
  joinSummaries,
  judge,
  scaleGradients,
} from '../../../worker/model/exact-sum.js';
import type { ReductionLayout } from '../../../worker/model/layout.js';
import { permutations } from '../../support/permutations.js';

/** Two gradients, one statistic, and the tail. */
const layout: ReductionLayout = {
  length: 4096 + 16 + 16 + 16,
  parts: [{ start: 0, end: 4096 + 48 }],
  gradientLength: 4096 + 16,
  gradients: [
    { name: 'filter', shape: [4096], offset: 0 },
    { name: 'bias', shape: [5], offset: 4096 },
  ],
  statistics: [{ name: 'mean', shape: [16], offset: 4096 + 16 }],
  tail: { lossSum: 4128, correct: 4129, samples: 4130, microBatches: 4131, weight: 4130 },
};

const memory = allocateSumMemory(layout.length);
const whole = { start: 0, end: layout.length };

/** What a world of one makes of micro-batches' vectors. */
function sumOf(vectors: readonly Float32Array[], known: readonly number[], microBatches = vectors.length) {
  const { vector, own } = memory;
  const grid = gridOf(Float32Array.from(known), microBatches);
  const largest = new Float32Array(layout.gradients.length);
  for (const [index, values] of vectors.entries()) {
    vector.set(values);
    const adds = index > 0;
    encodeGradients({ layout, grid, range: whole, vector, own, adds, finishes: false, largest });
  }
  passSegment(
    { vector, offset: 0, count: layout.gradientLength, wire: 'float32', role: 'finish' },
    null,
    null,
  );
  const rows = Float32Array.from(vectors.flatMap((values) => [...values.subarray(layout.gradientLength)]));
  const computed = [...vectors.keys()];
  const found = joinSummaries([{ largest, microBatches: computed, rows }], computed.length, layout, vector);
  const verdict = judge(found, grid, layout, vector);
  return { sums: vector.slice(), units: grid.units, largest: [...found], verdict };
}

/** Heavy tails, channels of unlike size, and a signal that all micro-batches share. */
function gradientsLike(seed: number, microBatches: number, size: number): Float32Array[] {
  const shared = openStream(seed, 'initialization', 0);
  const scales = Array.from({ length: 65 }, () => Math.exp(3 * shared.uniform(-1, 1)));
  const signal = Array.from({ length: layout.gradientLength }, () => heavy(shared));
  return Array.from({ length: microBatches }, (_, microBatch) => {
    const own = openStream(seed, 'initialization', 1 + microBatch);
    return Float32Array.from({ length: layout.length }, (__, at) =>
      at < 4096 + 5 ? size * scales[at >> 6]! * (signal[at]! + 2 * heavy(own)) : 0,
    );
  });
}

/** About Student's t with four degrees of freedom. */
function heavy(stream: { uniform(from: number, to: number): number }): number {
  const u = stream.uniform(-1, 1);
  return u / Math.sqrt(Math.max(1e-4, 1 - u * u));
}

function largestOf(vectors: readonly Float32Array[]): number[] {
  return layout.gradients.map(({ offset }, index) => {
    const end = layout.gradients[index + 1]?.offset ?? layout.gradientLength;
    return vectors.reduce(
      (largest, vector) =>
        vector.subarray(offset, end).reduce((most, value) => Math.max(most, Math.abs(value)), largest),
      0,
    );
  });
}

describe('a sum on the grid', () => {
  for (const microBatches of [1, 2, 3, 4, 7, 16, 64]) {
    it(`is within its bound of the sum in float64, for ${microBatches} micro-batches of any size`, () => {
      for (let seed = 1; seed <= 12; seed += 1) {
        const size = 10 ** ((seed % 12) - 9);
        const vectors = gradientsLike(seed, microBatches, size);
        const known = largestOf(vectors);
        const { sums, units, verdict, largest } = sumOf(vectors, known);
        expect(verdict).toBe('fits');
        expect(largest).toEqual(known);
        for (const [index, { offset }] of layout.gradients.entries()) {
          const unit = units[index]!;
          // At four micro-batches 25 bits of the largest value, sign included: 24 and one for its sign.
          const bits = 27 - Math.ceil(Math.log2(microBatches));
          expect(unit).toBeLessThanOrEqual(known[index]! * 2 ** (1 - bits));
          const end = layout.gradients[index + 1]?.offset ?? layout.gradientLength;
          for (let at = offset; at < end; at += 1) {
            const exact = vectors.reduce((total, vector) => total + vector[at]!, 0);
            const error = Math.abs(sums[at]! * unit - exact);
            if (error > (microBatches * unit) / 2 + 2 ** -24 * Math.abs(exact)) {
              expect.fail(`seed ${seed}, element ${at}: ${sums[at]! * unit} instead of ${exact}`);
            }
          }
        }
      }
    });
  }

  it('has at least 24 bits of the largest value at four micro-batches, whatever that is', () => {
    const stream = openStream(7, 'initialization');
    for (let trial = 0; trial < 2000; trial += 1) {
      const largest = Math.fround(2 ** stream.uniform(-70, 60));
      const { units, bounds } = gridOf(Float32Array.of(largest), 4);
      expect(units[0]! * 2 ** 24).toBeLessThanOrEqual(largest);
      expect(bounds[0]).toBeGreaterThan(15 * largest);
      // Four of the largest that fit are no more than int32 holds.
      expect((4 * bounds[0]!) / units[0]!).toBeLessThan(2 ** 31);
    }
  });

  it.each([2 ** -149, 2 ** -126, 2 ** -97, 0.5, 1 - 2 ** -24, 1, 1 + 2 ** -23, 2 ** 127])(
    'is made for powers of two and their neighbours: %d',
    (largest) => {
      const { scales, units, bounds } = gridOf(Float32Array.of(largest), 4);
      expect(scales[0]! * units[0]!).toBe(1);
      expect(Math.log2(scales[0]!)).toBe(Math.round(Math.log2(scales[0]!)));
      expect(bounds[0]).toBeGreaterThan(largest);
    },
  );

  it('has the same bits in every order and every division', () => {
    const vectors = gradientsLike(3, 4, 1e-3);
    const known = largestOf(vectors);
    const expected = Buffer.from(sumOf(vectors, known).sums.buffer);
    for (const order of permutations([0, 1, 2, 3])) {
      const { sums } = sumOf(
        order.map((index) => vectors[index]!),
        known,
      );
      expect(Buffer.compare(Buffer.from(sums.buffer), expected)).toBe(0);
    }
  });
});

describe('what is told beside it', () => {
  const emptyVector = () => new Float32Array(layout.length);
  const length = layout.length - layout.gradientLength;
  const rows = Array.from({ length: 5 }, (_, row) =>
    Float32Array.from({ length }, (__, at) => Math.sin(row + at) * 10 ** (row - 2)),
  );
  const summaryOf = (microBatches: readonly number[]) => ({
    largest: Float32Array.of(microBatches.length, 0),
    microBatches,
    rows: Float32Array.from(microBatches.flatMap((position) => [...(rows[position] ?? emptyRow)])),
  });
  const emptyRow = new Float32Array(length);

  it('is folded in the order of the micro-batches, whoever computed them, in float64', () => {
    const expected = Float32Array.from({ length }, (_, at) =>
      rows.reduce((total, row) => total + row[at]!, 0),
    );
    const shares: number[][][] = [
      [[0, 1, 2, 3, 4]],
      [
        [0, 1, 2],
        [3, 4],
      ],
      [[0], [1], [2], [3], [4]],
      [[], [0, 1, 2, 3, 4]],
      // As survivors divide a step again.
      [[4, 0], [], [3, 1, 2]],
      [[2, 4], [1], [0, 3]],
    ];
    for (const division of shares) {
      const summaries = division.map((microBatches) => summaryOf(microBatches));
      const vector = emptyVector();
      const largest = joinSummaries(summaries, rows.length, layout, vector);
      expect([...largest]).toEqual([Math.max(...division.map(({ length }) => length)), 0]);
      expect([...vector.subarray(layout.gradientLength)]).toEqual([...expected]);
    }
  });

  it.each([
    [
      'missing',
      [
        [0, 1],
        [2, 4],
      ],
    ],
    [
      'computed twice',
      [
        [0, 1, 3],
        [2, 3, 4],
      ],
    ],
    [
      'another',
      [
        [0, 1, 5],
        [2, 3, 4],
      ],
    ],
    [
      'in the place of another',
      [
        [0, 1, 5],
        [2, 3],
      ],
    ],
  ])('refuses a step of which a micro-batch is %s', (_, division) => {
    const summaries = division.map((microBatches) => summaryOf(microBatches));
    expect(() => joinSummaries(summaries, rows.length, layout, emptyVector())).toThrow(
      `of 5 micro-batches the ranks computed others: rank 0: ${division[0]!.join(' ')}; rank 1:`,
    );
  });

  it.each([
    ['a gradient', (vector: Float32Array) => vector.fill(Number.NaN, 17, 18)],
    ['a gradient', (vector: Float32Array) => vector.fill(Number.NEGATIVE_INFINITY, 4100, 4101)],
    ['a statistic', (vector: Float32Array) => vector.fill(Number.POSITIVE_INFINITY, 4115, 4116)],
    ['the loss', (vector: Float32Array) => vector.fill(Number.NaN, 4128, 4129)],
  ])('shows that %s is not finite, though others overflow', (_, spoil) => {
    const vectors = gradientsLike(5, 3, 1);
    expect(sumOf(vectors, [1e-6, 1e-6]).verdict).toBe('overflow');
    spoil(vectors[1]!);
    expect(sumOf(vectors, [1e-6, 1e-6]).verdict).toBe('not-finite');
    expect(sumOf(vectors, [100, 100]).verdict).toBe('not-finite');
  });
});

describe('an overflow', () => {
  it('is one of a single micro-batch, and the second sum fits', () => {
    const vectors = gradientsLike(6, 4, 1e-2);
    const known = largestOf(vectors);
    const grown = vectors.map((vector, index) => (index === 2 ? vector.map((value) => 40 * value) : vector));
    const first = sumOf(grown, known);
    expect(first.verdict).toBe('overflow');
    expect(sumOf([grown[0]!, grown[1]!, grown[3]!], known, 4).verdict).toBe('fits');
    expect(sumOf([grown[2]!], known, 4).verdict).toBe('overflow');
    expect(sumOf(grown, first.largest).verdict).toBe('fits');
  });

  it('comes with a growth of more than 16, and never with less', () => {
    for (const largest of [1, 1.5, 1.999, 3e-5]) {
      const vector = new Float32Array(layout.length).fill(Math.fround(largest), 3, 4);
      const [known] = largestOf([vector]);
      for (const [growth, verdict] of [
        [1, 'fits'],
        [15.99, 'fits'],
        [32.01, 'overflow'],
      ] as const) {
        const grown = vector.map((value) => growth * value);
        expect(sumOf([grown], [known!, 0], 4).verdict).toBe(verdict);
      }
    }
  });

  it('is any value of a gradient of which nothing is known, but not zeros', () => {
    const vector = new Float32Array(layout.length);
    expect(sumOf([vector], [0, 0]).verdict).toBe('fits');
    vector[4096] = 2 ** -149;
    expect(sumOf([vector], [0, 0]).verdict).toBe('overflow');
  });
});

it('multiplies each gradient by its factor and nothing else, where kernels reach it and where not', () => {
  const values = Float32Array.from({ length: layout.length }, (_, index) => Math.sin(index));
  const factors = Float32Array.of(0.3, -7);
  const expected = values.map((value, index) => {
    const factor = index < 4096 ? factors[0]! : index < layout.gradientLength ? factors[1]! : 1;
    return Math.fround(value * factor);
  });
  memory.vector.set(values);
  for (const vector of [memory.vector, values]) {
    scaleGradients(vector, layout, factors);
    expect([...vector]).toEqual([...expected]);
  }
});
