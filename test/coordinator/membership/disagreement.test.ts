import { describe, expect, it } from 'vitest';
import { describeDisagreement } from '../../../coordinator/membership/disagreement.js';

const places = ['a', 'b', 'c', 'd'].map((workerId, rank) => ({
  workerId,
  rank,
  address: '',
  pid: rank,
  host: '',
}));

describe('describeDisagreement', () => {
  it.each([
    [['x'], null],
    [['x', 'x', 'x', 'x'], null],
    [['x', 'y'], 'a (rank 0) reported x; b (rank 1) reported y'],
    [['x', 'y', 'x'], 'b (rank 1) reported y; the majority, a (rank 0), c (rank 2), reported x'],
    [['x', 'y', 'y', 'x'], 'a (rank 0), d (rank 3) reported x; b (rank 1), c (rank 2) reported y'],
    [
      ['z', 'y', 'y', 'x'],
      'a (rank 0) reported z; d (rank 3) reported x; the majority, b (rank 1), c (rank 2), reported y',
    ],
  ])('of %j', (values, expected) => {
    expect(describeDisagreement(places, values)).toBe(expected);
  });
});
