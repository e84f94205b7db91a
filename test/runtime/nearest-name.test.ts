import { expect, it } from 'vitest';
import { nearestName } from '../../runtime/nearest-name.js';

const names = ['workers', 'batch-size', 'epochs', 'lr', 'freeze-epochs'];

it.each([
  ['wokers', 'workers'],
  ['worker', 'workers'],
  ['batch_size', 'batch-size'],
  ['epoch', 'epochs'],
  ['freezeepochs', 'freeze-epochs'],
  ['workers', 'workers'],
  ['elephants', null],
  ['xyzzy', null],
])('%s → %s', (wrong, expected) => {
  expect(nearestName(wrong, names)).toBe(expected);
});

it('has no answer where there are no names', () => {
  expect(nearestName('x', [])).toBeNull();
});
