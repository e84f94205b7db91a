import { expect, test } from 'vitest';
import { maxStoredAspect, storedBytes, storedShape } from '../../plan/stored-image.js';

test('an image is stored with its short side at presize and its long side in proportion, up to a bound', () => {
  expect(storedShape(1, 256)).toEqual({ rows: 256, columns: 256, turned: false });
  expect(storedShape(16 / 9, 256)).toEqual({ rows: 455, columns: 256, turned: true });
  expect(storedShape(9 / 16, 256)).toEqual({ rows: 455, columns: 256, turned: false });
  expect(storedShape(3, 256)).toEqual({ rows: 768, columns: 256, turned: true });
  expect(storedBytes(3, 256)).toBe(768 * 256 * 3);
  for (const aspect of [8, 9, 200, 1 / 30]) {
    expect(storedShape(aspect, 100)).toMatchObject({ rows: 100 * maxStoredAspect, columns: 100 });
  }
});
