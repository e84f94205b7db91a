import { describe, expect, test } from 'vitest';
import { augmentSample, drawAugmentation, projectiveTransform } from '../../plan/augmentation.js';
import { storedShape } from '../../plan/stored-image.js';
import { blendAnswers, testTimeViews } from '../../plan/test-time.js';
import { fastaiSampleAt } from '../support/fastai-transforms.js';

const scale = 1.35;

/** Where TensorFlow's ImageProjectiveTransformV3 samples output (x, y). */
function sampleAt(transform: Float32Array, x: number, y: number): [number, number] {
  const [a0, a1, a2, b0, b1, b2, c0, c1] = [...transform] as number[] & { length: 8 };
  const k = c0! * x + c1! * y + 1;
  return [(a0! * x + a1! * y + a2!) / k, (b0! * x + b1! * y + b2!) / k];
}

/** fastai's loop: `row = 1 if i&1 else 0`, `col = 1 if i&2 else 0`, `flip = i&4`. */
const passes = Array.from({ length: 8 }, (_, i) => ({
  i,
  row: i % 2,
  column: Math.floor(i / 2) % 2,
  flip: i >= 4,
}));

describe('the views', () => {
  test('are the middle, then eight', () => {
    const views = testTimeViews('none', 1);
    expect(views).toHaveLength(9);
    expect(views[0]).toBeNull();
  });

  test.each(passes)(
    'of pass $i keep one corner where it is, at 1.35 times the size',
    ({ i, row, column, flip }) => {
      const [presize, size] = [101, 50];
      const view = testTimeViews('none', 1)[i + 1]!;
      for (const aspect of [1, 2, 0.5]) {
        const transform = projectiveTransform(view, aspect, presize, size);
        const [width, height] = [Math.max(size, size * aspect), Math.max(size, size / aspect)];
        // The output's pixel that shows the kept corner: flipping comes before the crop, so a crop at the
        // left then shows the right.
        const [x, y] = [column * (size - 1), row * (size - 1)];
        const { rows, columns, turned } = storedShape(aspect, presize);
        const [storedWidth, storedHeight] = turned ? [rows, columns] : [columns, rows];
        /** As it would be in an image that is stored upright. */
        const uprightAt = (atX: number, atY: number): readonly [number, number] => {
          const [first, second] = sampleAt(transform, atX, atY);
          return turned ? [second, first] : [first, second];
        };
        const [keptX, keptY] = uprightAt(x, y);
        const cornerX = (flip ? 1 - column : column) * (storedWidth - 1);
        // Enlarging keeps the corner at (column, row); flipped, the crop's end shows the opposite side.
        const u = flip ? 1 - 2 * column : 2 * column - 1;
        const shift = (1 - 1 / scale) * (2 * column - 1);
        const expectedX = ((u / scale + shift + 1) / 2) * (storedWidth - 1);
        expect(keptX).toBeCloseTo(flip ? expectedX : cornerX, 2);
        expect(keptY).toBeCloseTo(row * (storedHeight - 1), 2);
        // One pixel of the output is 1/1.35 of a pixel of the scaled image.
        const inward = column === 0 ? 1 : -1;
        const step = ((inward * (flip ? -1 : 1)) / scale) * ((storedWidth - 1) / (width - 1));
        expect(uprightAt(x + inward, y)[0] - keptX).toBeCloseTo(step, 3);
        const down = row === 0 ? 1 : -1;
        expect(uprightAt(x, y + down)[1] - keptY).toBeCloseTo(
          (down / scale) * ((storedHeight - 1) / (height - 1)),
          3,
        );
      }
    },
  );

  test('are fastai’s chain with what training draws beside: rotation, warp, lighting', () => {
    const seed = 7;
    const views = testTimeViews('fastai', seed);
    let worst = 0;
    for (const { i, row, column, flip } of passes) {
      const drawn = drawAugmentation(seed, i, 0, 'test-time');
      const zoomed = { zoom: scale, focus: [column, row] as const };
      const crop = [column === 1 ? 1 - 1e-7 : 0, row === 1 ? 1 - 1e-7 : 0] as const;
      const fastai = { ...drawn, flip, ...zoomed, crop };
      expect(views[i + 1]).toMatchObject({ brightness: drawn.brightness, contrast: drawn.contrast });
      for (const aspect of [1, 1.6, 0.7]) {
        const transform = projectiveTransform(views[i + 1]!, aspect, 112, 96);
        for (const [x, y] of [
          [0, 0],
          [95, 0],
          [40, 60],
          [95, 95],
        ] as const) {
          const expected = fastaiSampleAt(fastai, aspect, 112, 96, x, y);
          const found = sampleAt(transform, x, y);
          worst = Math.max(worst, Math.abs(found[0] - expected[0]), Math.abs(found[1] - expected[1]));
        }
      }
    }
    expect(worst).toBeLessThan(1e-3); // the numbers are float32
    expect(new Set(views.slice(1).map((view) => view!.brightness)).size).toBeGreaterThan(2);
  });

  test('depend on the seed alone, and are not those of training', () => {
    expect(testTimeViews('fastai', 3)).toEqual(testTimeViews('fastai', 3));
    expect(testTimeViews('fastai', 3)).not.toEqual(testTimeViews('fastai', 4));
    const training = augmentSample('fastai', 3, 0, 0)!;
    expect(testTimeViews('fastai', 3)[1]!.warp).not.toEqual(training.warp);
    for (const kind of ['none', 'flip'] as const) {
      expect(testTimeViews(kind, 3)).toEqual(testTimeViews('none', 4));
    }
  });
});

test('an answer is two fifths the plain one, the rest the mean of the others', () => {
  const answers = [[1, 0], ...Array.from({ length: 8 }, (_, view) => [view / 8, 1 - view / 8])];
  const [first, second] = blendAnswers(answers);
  expect(first).toBeCloseTo(0.4 * 1 + 0.6 * (28 / 64), 6);
  expect(second).toBeCloseTo(0.6 * (1 - 28 / 64), 6);
});
