import { describe, expect, it } from 'vitest';
import { type Span, throughputOf } from '../../../bench/compute/throughput.js';

describe('throughputOf', () => {
  it('is the rate of one process alone', () => {
    const spans: Span[] = [
      [10, 12],
      [12, 13],
    ];
    expect(throughputOf([spans])).toBeCloseTo(2 / 3, 12);
  });

  it('adds processes up over the time that they share, counting a step in part', () => {
    const early: Span[] = [
      [0, 4],
      [4, 8],
    ];
    const late: Span[] = [
      [2, 6],
      [6, 10],
    ];
    // From 2 to 8: half of the early one's first step and all of its second; the late one's first and half of
    // its second.
    expect(throughputOf([early, late])).toBeCloseTo((1.5 + 1.5) / 6, 12);
  });

  it('leaves out what a process does while others are done', () => {
    const steady: Span[] = [
      [0, 1],
      [1, 2],
      [2, 3],
    ];
    expect(throughputOf([steady, [[0, 1]]])).toBeCloseTo(2, 12);
  });

  it('refuses processes that never computed at the same time', () => {
    expect(() => throughputOf([[[0, 1]], [[1, 2]]])).toThrow('never computed at the same time');
  });
});
