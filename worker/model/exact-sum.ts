import assert from 'node:assert/strict';
import { RondoError } from '../../runtime/errors.js';
import { workspaceOf } from '../arithmetic/reduction-vector.js';
import type { ReductionLayout } from './layout.js';

// Sums that have the same bits in whatever order they are formed, and so in every division of the work.
//
// A micro-batch's gradients g become whole multiples of a power of two that all ranks know beforehand, one per
// tensor: u = rne(g · 2^k), int32. Integers are added, and the sum S is turned into a float once:
// fl32(S) · 2^−k. With M micro-batches, c = ⌈log₂ M⌉ and m the largest |g| of the last accepted step:
//
//     k = 31 − c − headroom − e(m)      e(m): the least e with m < 2^e
//     |u| ≤ 2^(31−c) − 1                so that M of them fit, else the step is summed once more with its own m
//
// Overflow is a property of one micro-batch, so it is the same in every world. At four micro-batches 25 bits of
// the largest value are kept, at 64 of them 21: as fine as float32 there. Statistics and the tail are few: every
// rank has all micro-batches' values and folds them in order.
//
// (Integers on a scale that all know: SwitchML, NSDI 2021, and IntSGD, ICLR 2022, which save bandwidth by it.)

/** By so many powers of two a tensor's largest value may grow in a step without its being summed once more. */
const headroom = 4;

/** Keeps 2^k and 2^−k, and what they are multiplied by, far from where float32 ends. */
const largestShift = 100;

/** Of each gradient of a layout, in its order. */
export interface Grid {
  /** 2^k */
  readonly scales: Float32Array;
  /** 2^−k: what one is worth. */
  readonly units: Float32Array;
  /** The largest value that fits; 0 where nothing is known of a tensor yet. */
  readonly bounds: Float64Array;
}

/**
 * @param largest of each gradient, in any micro-batch of the last accepted step; 0 where it was never another
 * @param microBatches of the step
 */
export function gridOf(largest: Float32Array, microBatches: number): Grid {
  const bits = 31 - Math.ceil(Math.log2(Math.max(1, microBatches)));
  const shifts = Array.from(largest, (value) => {
    const shift = bits - headroom - exponentOf(value);
    return value === 0 ? 0 : Math.max(-largestShift, Math.min(largestShift, shift));
  });
  return {
    scales: Float32Array.from(shifts, (shift) => 2 ** shift),
    units: Float32Array.from(shifts, (shift) => 2 ** -shift),
    bounds: Float64Array.from(shifts, (shift, index) =>
      largest[index] === 0 ? 0 : (2 ** bits - 1) * 2 ** -shift,
    ),
  };
}

/** The least e with value < 2^e, of a positive float32. */
function exponentOf(value: number): number {
  const exponent = Math.floor(Math.log2(value)) + 1;
  // log2 rounds: a value just below a power of two may be taken for it.
  return value < 2 ** (exponent - 1) ? exponent - 1 : exponent;
}

/** What a rank knows of its micro-batches beside the sum of their gradients. */
export interface Summary {
  /** The largest magnitude of each gradient in any of them; NaN where there is one. */
  readonly largest: Float32Array;
  /** Their places among the step's micro-batches. */
  readonly microBatches: readonly number[];
  /** Statistics and tail of each, as they lie in the vector, one micro-batch after the other. */
  readonly rows: Float32Array;
}

/**
 * Puts the gradients of `range`, floats of `vector`, on the grid: `own`, at the same places, := or, if it `adds`,
 * += them, and `vector` becomes the same. Notes their magnitudes in `largest`.
 */
export function encodeGradients(o: {
  readonly layout: ReductionLayout;
  readonly grid: Grid;
  /** Of whole gradients. */
  readonly range: { readonly start: number; readonly end: number };
  readonly vector: Float32Array;
  readonly own: Float32Array;
  readonly adds: boolean;
  /** Whether the sum is complete: `vector` is left as float32, as the ring leaves it, and `own` as it was. */
  readonly finishes: boolean;
  readonly largest: Float32Array;
}): void {
  const { layout, grid, range, vector, own, largest } = o;
  const kernels = workspaceOf(vector)?.kernels;
  assert(kernels !== undefined && own.buffer === vector.buffer, 'kernels reach the vector and the own sum');
  const encode = o.finishes
    ? kernels[o.adds ? 'encodeAddFinished' : 'encodeFinished']
    : kernels[o.adds ? 'encodeAdd' : 'encode'];
  for (const [index, { offset }] of layout.gradients.entries()) {
    if (offset < range.start || offset >= range.end) continue;
    // The zeros that fill up its last row too.
    const end = layout.gradients[index + 1]?.offset ?? layout.gradientLength;
    const [ints, floats] = [own.byteOffset + 4 * offset, vector.byteOffset + 4 * offset];
    const found = encode(ints, floats, ints + 4 * (end - offset), grid.scales[index]!);
    largest[index] = Math.max(largest[index]!, found);
  }
}

/** Multiplies each gradient of a sum that is float32 by its factor, in place. */
export function scaleGradients(vector: Float32Array, layout: ReductionLayout, factors: Float32Array): void {
  const kernels = workspaceOf(vector)?.kernels;
  for (const [index, { offset }] of layout.gradients.entries()) {
    const end = layout.gradients[index + 1]?.offset ?? layout.gradientLength;
    const factor = factors[index]!;
    if (kernels !== undefined) {
      const { byteOffset } = vector;
      kernels.scale(byteOffset + 4 * offset, byteOffset + 4 * end, factor);
    } else {
      for (let at = offset; at < end; at += 1) vector[at]! *= factor;
    }
  }
}

/**
 * Joins all ranks' summaries: statistics and tail of `vector` become their sums, in the order of the `count`
 * micro-batches, whoever computed them. Answers the largest magnitude of each gradient.
 *
 * @throws RondoError `internal` when a micro-batch is missing or was computed twice.
 */
export function joinSummaries(
  summaries: readonly Summary[],
  count: number,
  layout: ReductionLayout,
  vector: Float32Array,
): Float32Array {
  const length = layout.length - layout.gradientLength;
  const computed = summaries.flatMap(({ microBatches, rows }) =>
    microBatches.map((microBatch, index) => {
      return { microBatch, row: rows.subarray(index * length, (index + 1) * length) };
    }),
  );
  computed.sort((a, b) => a.microBatch - b.microBatch);
  if (computed.length !== count || computed.some(({ microBatch }, place) => microBatch !== place)) {
    const told = summaries.map(
      ({ microBatches }, rank) => `rank ${rank}: ${microBatches.join(' ') || 'none'}`,
    );
    const text = `of ${count} micro-batches the ranks computed others: ${told.join('; ')}`;
    throw new RondoError('internal', text);
  }
  const sums = new Float64Array(length);
  for (const { row } of computed) {
    row.forEach((value, index) => {
      sums[index]! += value;
    });
  }
  vector.set(sums, layout.gradientLength);
  const largest = new Float32Array(layout.gradients.length);
  for (const summary of summaries) {
    summary.largest.forEach((value, index) => {
      largest[index] = Math.max(largest[index]!, value);
    });
  }
  return largest;
}

export type Verdict =
  | 'fits'
  /** Some gradient does not fit, though all are finite. */
  | 'overflow'
  /** There is a NaN or an infinity. */
  | 'not-finite';

/** Of a step whose summaries have been joined. */
export function judge(
  largest: Float32Array,
  grid: Grid,
  layout: ReductionLayout,
  vector: Float32Array,
): Verdict {
  const finite = [largest, vector.subarray(layout.gradientLength, layout.length)].every((values) =>
    values.every(Number.isFinite),
  );
  if (!finite) return 'not-finite';
  return largest.some((value, index) => value > grid.bounds[index]!) ? 'overflow' : 'fits';
}
