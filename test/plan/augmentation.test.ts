import { expect, test } from 'vitest';
import {
  type Augmentation,
  augmentSample,
  drawAugmentation,
  lighting,
  projectiveTransform,
} from '../../plan/augmentation.js';
import { storedShape } from '../../plan/stored-image.js';
import { fastaiSampleAt, sampleAt } from '../support/fastai-transforms.js';

const neutral: Augmentation = {
  flip: false,
  angle: 0,
  zoom: 1,
  focus: [0.5, 0.5],
  warp: [0, 0, 0, 0],
  crop: [0.5, 0.5],
  brightness: 0.5,
  contrast: 1,
};

test("the eight numbers are fastai's whole chain, over shapes, sizes and draws", () => {
  let worst = 0;
  for (const aspect of [1, 4 / 3, 0.61, 2.5, 7]) {
    for (const [presize, size] of [
      [256, 224],
      [112, 96],
      [48, 48],
    ] as const) {
      for (let sample = 0; sample < 40; sample += 1) {
        const drawn = drawAugmentation(3, 1, sample);
        const transform = projectiveTransform(drawn, aspect, presize, size);
        for (const x of [0, 1, size / 2, size - 1]) {
          for (const y of [0, 7, size - 1]) {
            const expected = fastaiSampleAt(drawn, aspect, presize, size, x, y);
            const actual = sampleAt(transform, x, y);
            worst = Math.max(worst, Math.abs(actual[0] - expected[0]), Math.abs(actual[1] - expected[1]));
          }
        }
      }
    }
  }
  expect(worst).toBeLessThan(1e-3); // the numbers are float32
});

test('a square image without augmentation is sampled corner to corner', () => {
  const transform = projectiveTransform(null, 1, 256, 224);
  const corners = [sampleAt(transform, 0, 0), sampleAt(transform, 223, 223)];
  for (const value of corners[0]!) expect(value).toBeCloseTo(0, 4);
  for (const value of corners[1]!) expect(value).toBeCloseTo(255, 4);
  expect([...projectiveTransform(null, 1, 64, 64)]).toEqual([1, 0, 0, 0, 1, 0, 0, 0]);
});

test('the centre crop takes equal margins off the long side', () => {
  const transform = projectiveTransform(null, 2, 101, 50);
  // Stored lying on its side: 202 rows, which are the columns of the original.
  const [top, left] = sampleAt(transform, 0, 0);
  const [bottom, right] = sampleAt(transform, 49, 49);
  expect([top, bottom]).toEqual([expect.closeTo(0, 4), expect.closeTo(100, 4)]);
  expect(left).toBeCloseTo((201 * 25) / 99, 4); // 100 columns, of which 25 to 74 are kept
  expect(right).toBeCloseTo((201 * 74) / 99, 4);
  expect(sampleAt(projectiveTransform(null, 0.5, 101, 50), 0, 0)[1]).toBeCloseTo((201 * 25) / 99, 4);
});

test('the random crop reaches both ends of the long side and leaves the other alone', () => {
  const at = (share: number) =>
    sampleAt(projectiveTransform({ ...neutral, crop: [share, share] }, 2, 101, 50), 0, 0);
  expect(at(0)).toEqual([expect.closeTo(0, 4), expect.closeTo(0, 4)]);
  expect(at(1 - 2 ** -32)).toEqual([expect.closeTo(0, 4), expect.closeTo((201 * 50) / 99, 4)]);
});

test('flip mirrors the columns', () => {
  const plain = projectiveTransform(neutral, 1, 64, 64);
  const flipped = projectiveTransform({ ...neutral, flip: true }, 1, 64, 64);
  for (const x of [0, 5, 63]) {
    expect(sampleAt(flipped, x, 9)).toEqual(sampleAt(plain, 63 - x, 9));
  }
});

test('zoom keeps its focus in place and shows 1/zoom of the image', () => {
  for (const focus of [
    [0, 0],
    [1, 0],
    [0.25, 0.8],
  ] as const) {
    const transform = projectiveTransform({ ...neutral, zoom: 1.1, focus }, 1, 101, 101);
    const fixed = sampleAt(transform, focus[0] * 100, focus[1] * 100);
    expect(fixed).toEqual([expect.closeTo(focus[0] * 100, 3), expect.closeTo(focus[1] * 100, 3)]);
    const width = sampleAt(transform, 100, 0)[0] - sampleAt(transform, 0, 0)[0];
    expect(width).toBeCloseTo(100 / 1.1, 3);
  }
});

test('rotation turns about the centre by its angle', () => {
  const transform = projectiveTransform({ ...neutral, angle: 10 }, 1, 101, 101);
  const [x, y] = sampleAt(transform, 100, 50);
  expect(Math.atan2(y - 50, x - 50)).toBeCloseTo((10 * Math.PI) / 180, 5);
  expect(Math.hypot(x - 50, y - 50)).toBeCloseTo(50, 3);
});

test("warp puts the image's corners where fastai's symmetric_warp says", () => {
  const [right, left, bottom, top] = [0.1, -0.15, 0.2, -0.05];
  const size = 101;
  const transform = projectiveTransform({ ...neutral, warp: [right, left, bottom, top] }, 1, size, size);
  const pixel = (share: number) => ((share + 1) / 2) * (size - 1);
  const expected = [
    [
      [-1 - top, -1 - left],
      [0, 0],
    ],
    [
      [1 + top, -1 - right],
      [100, 0],
    ],
    [
      [1 + bottom, 1 + right],
      [100, 100],
    ],
    [
      [-1 - bottom, 1 + left],
      [0, 100],
    ],
  ] as const;
  for (const [[x, y], [inputX, inputY]] of expected) {
    expect(sampleAt(transform, pixel(x), pixel(y))).toEqual([
      expect.closeTo(inputX, 2),
      expect.closeTo(inputY, 2),
    ]);
  }
});

test("draws have fastai's probabilities and ranges", () => {
  const draws = Array.from({ length: 20_000 }, (_, id) => drawAugmentation(8, id % 7, id));
  const share = (test: (o: Augmentation) => boolean) => draws.filter(test).length / draws.length;
  expect(Math.abs(share((o) => o.flip) - 0.5)).toBeLessThan(0.015);
  for (const drawn of [
    (o: Augmentation) => o.angle !== 0,
    (o: Augmentation) => o.zoom !== 1,
    (o: Augmentation) => o.warp.some((m) => m !== 0),
    (o: Augmentation) => o.brightness !== 0.5,
    (o: Augmentation) => o.contrast !== 1,
  ]) {
    expect(Math.abs(share(drawn) - 0.75)).toBeLessThan(0.015);
  }
  // A uniform number of [low, high) comes within a hundredth of both ends and has its mean in the middle.
  const expectUniform = (values: number[], low: number, high: number) => {
    const span = high - low;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(low);
    expect(Math.max(...values)).toBeLessThanOrEqual(high);
    expect(Math.min(...values)).toBeLessThan(low + 0.01 * span);
    expect(Math.max(...values)).toBeGreaterThan(high - 0.01 * span);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    expect(Math.abs(mean - (low + high) / 2)).toBeLessThan(0.015 * span);
  };
  expectUniform(
    draws.map((o) => o.angle).filter((v) => v !== 0),
    -10,
    10,
  );
  expectUniform(
    draws.map((o) => o.zoom).filter((v) => v !== 1),
    1,
    1.1,
  );
  expectUniform(
    draws.map((o) => o.brightness).filter((v) => v !== 0.5),
    0.4,
    0.6,
  );
  expectUniform(
    draws.map((o) => Math.log(o.contrast)).filter((v) => v !== 0),
    Math.log(0.8),
    Math.log(1.25),
  );
  for (const side of [0, 1, 2, 3] as const) {
    expectUniform(
      draws.map((o) => o.warp[side]).filter((v) => v !== 0),
      -0.2,
      0.2,
    );
  }
  for (const axis of [0, 1] as const) {
    expectUniform(
      draws.map((o) => o.focus[axis]),
      0,
      1,
    );
    expectUniform(
      draws.map((o) => o.crop[axis]),
      0,
      1,
    );
  }
});

test('an augmentation depends on seed, epoch and sample', () => {
  const one = drawAugmentation(1, 2, 3);
  expect(drawAugmentation(1, 2, 3)).toEqual(one);
  for (const other of [drawAugmentation(2, 2, 3), drawAugmentation(1, 3, 3), drawAugmentation(1, 2, 4)]) {
    expect(other.crop).not.toEqual(one.crop);
  }
});

test('lighting is a shift by the logit of the brightness, then a scale; nothing without augmentation', () => {
  expect(lighting(null)).toEqual([0, 1]);
  expect(lighting(neutral)).toEqual([0, 1]);
  const [shift, scale] = lighting({ ...neutral, brightness: 0.6, contrast: 1.25 });
  expect(1 / (1 + Math.exp(-shift))).toBeCloseTo(0.6, 12); // a mid-grey pixel becomes the brightness
  expect(scale).toBe(1.25);
  expect(lighting({ ...neutral, brightness: 0.4 })[0]).toBeCloseTo(-shift, 12);
});

test('each kind of augmentation takes its part of one and the same draw', () => {
  const drawn = drawAugmentation(1, 2, 3);
  expect(augmentSample('fastai', 1, 2, 3)).toEqual(drawn);
  expect(augmentSample('none', 1, 2, 3)).toBeNull();
  expect(augmentSample('flip', 1, 2, 3)).toEqual({ ...neutral, flip: drawn.flip, crop: drawn.crop });
});

test('a flip alone moves whole pixels: each output row and column is one of the scaled image', () => {
  const [presize, size, aspect] = [64, 48, 1.5];
  const wide = Math.round(size * aspect);
  const { rows } = storedShape(aspect, presize);
  const columns = new Set<number>();
  for (let sample = 0; sample < 60; sample += 1) {
    const augmentation = augmentSample('flip', 5, 0, sample)!;
    const transform = projectiveTransform(augmentation, aspect, presize, size);
    // Rows of what is stored are columns of the image.
    const [y, x] = sampleAt(transform, 0, 0);
    const column = (x / (rows - 1)) * (wide - 1);
    expect(column).toBeCloseTo(Math.round(column), 3);
    expect(y).toBeCloseTo(0, 4);
    const right = (sampleAt(transform, size - 1, 0)[1] / (rows - 1)) * (wide - 1);
    expect(right - column).toBeCloseTo(augmentation.flip ? 1 - size : size - 1, 3);
    columns.add(Math.round(Math.min(column, right)));
  }
  expect(Math.min(...columns)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...columns)).toBeLessThanOrEqual(wide - size);
  expect(columns.size).toBeGreaterThan(15);
});
