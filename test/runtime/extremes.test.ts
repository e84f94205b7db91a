import { expect, it } from 'vitest';
import { largest, smallest } from '../../runtime/extremes.js';

const many = Float64Array.from({ length: 1_000_000 }, (_, index) => index % 999_983);

it('finds the extremes of more values than a call takes', () => {
  expect(() => Math.max(...many)).toThrow(RangeError);
  expect([smallest(many), largest(many)]).toEqual([0, 999_982]);
});

it('answers as Math does for none and for NaN', () => {
  expect([largest([]), smallest([]), largest([], 3), largest([1], 3)]).toEqual([-Infinity, Infinity, 3, 3]);
  expect([largest([1, Number.NaN, 2]), smallest([1, Number.NaN, 2])]).toEqual([Number.NaN, Number.NaN]);
});
