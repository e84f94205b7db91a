import { expect, it } from 'vitest';
import { copyWindow } from '../../../worker/data/windows.js';

const rowBytes = 2;
const image = Uint8Array.from([1, 1, 2, 2, 3, 3]);

it.each([
  ['inside', 1, 2, [2, 3]],
  ['the whole', 0, 3, [1, 2, 3]],
  ['over the upper end', -2, 4, [2, 1, 1, 2]],
  ['over the lower end', 1, 5, [2, 3, 3, 2, 1]],
  ['over both', -1, 5, [1, 1, 2, 3, 3]],
  ['beyond, more than once around', -8, 20, [2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1]],
  ['far below', 7, 2, [2, 3]],
])('takes rows %s, mirrored at the ends', (_, start, rows, expected) => {
  const into = new Uint8Array((rows + 2) * rowBytes).fill(9);
  copyWindow(image, rowBytes, { start, rows }, into);
  expect([...into]).toEqual([...expected.flatMap((value) => [value, value]), 0, 0, 0, 0]);
});
