import { expect, test } from 'vitest';
import { drawAugmentation, projectiveTransform, windowedTransforms } from '../../plan/augmentation.js';
import { sampleAt } from '../support/fastai-transforms.js';

test('a window holds every row that is sampled and moves them as it says, over shapes and draws', () => {
  const [presize, size] = [112, 96];
  let most = 0;
  for (const aspect of [1, 0.7, 4 / 3, 16 / 9, 3, 1 / 3, 8, 20]) {
    for (let sample = -1; sample < 400; sample += 1) {
      const drawn = sample < 0 ? null : drawAugmentation(3, 1, sample);
      const whole = projectiveTransform(drawn, aspect, presize, size);
      const { transforms, window } = windowedTransforms([drawn], aspect, presize, size);
      const transform = transforms[0]!;
      most = Math.max(most, window.rows / presize);
      if (drawn === null) expect(window.rows).toBeLessThanOrEqual(presize + 3);
      for (const [x, y] of [0, 0.2, 0.5, 1].flatMap((a) => [0, 0.7, 1].map((b) => [a, b] as const))) {
        const at = [x * (size - 1), y * (size - 1)] as const;
        const [column, row] = sampleAt(whole, ...at);
        const moved = sampleAt(transform, ...at);
        expect(moved[0]).toBeCloseTo(column, 2);
        expect(moved[1] + window.start).toBeCloseTo(row, 2);
        // Bilinear sampling reads the row above and the row below.
        expect(moved[1]).toBeGreaterThanOrEqual(0);
        expect(moved[1]).toBeLessThan(window.rows - 1);
      }
    }
  }
  // What bounds the memory of a batch: fastai's warp shears the ends of very long images.
  expect(most).toBeLessThan(5);
});

test('one window holds what several views of an image reach', () => {
  const views = [null, drawAugmentation(3, 1, 0), drawAugmentation(3, 1, 1)];
  const { transforms, window } = windowedTransforms(views, 3, 112, 96);
  const own = views.map((view) => windowedTransforms([view], 3, 112, 96).window);
  expect(window.start).toBe(Math.min(...own.map(({ start }) => start)));
  expect(window.start + window.rows).toBe(Math.max(...own.map(({ start, rows }) => start + rows)));
  for (const [i, view] of views.entries()) {
    const [column, row] = sampleAt(projectiveTransform(view, 3, 112, 96), 40, 70);
    const moved = sampleAt(transforms[i]!, 40, 70);
    expect(moved[0]).toBeCloseTo(column, 2);
    expect(moved[1] + window.start).toBeCloseTo(row, 2);
  }
});
