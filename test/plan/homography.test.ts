import { expect, test } from 'vitest';
import {
  applyHomography,
  compose,
  invert,
  type Point,
  scaleAndShift,
  squareToQuad,
} from '../../plan/homography.js';

const corners = {
  topLeft: [-1.2, -0.9],
  topRight: [1.1, -1.15],
  bottomRight: [0.85, 1.3],
  bottomLeft: [-0.95, 1.05],
} as const satisfies Record<string, Point>;

function expectNear(actual: Point, expected: Point) {
  expect(Math.hypot(actual[0] - expected[0], actual[1] - expected[1])).toBeLessThan(1e-12);
}

test('squareToQuad takes each corner to its point', () => {
  const map = squareToQuad(corners);
  expectNear(applyHomography(map, [-1, -1]), corners.topLeft);
  expectNear(applyHomography(map, [1, -1]), corners.topRight);
  expectNear(applyHomography(map, [1, 1]), corners.bottomRight);
  expectNear(applyHomography(map, [-1, 1]), corners.bottomLeft);
});

test('the inverse leads back, and compose applies the last map first', () => {
  const map = squareToQuad(corners);
  const scale = scaleAndShift(2, 3, 5, 7);
  for (const point of [
    [0, 0],
    [0.3, -0.8],
    [1, 1],
  ] as Point[]) {
    expectNear(applyHomography(compose(invert(map), map), point), point);
    expectNear(
      applyHomography(compose(scale, map), point),
      applyHomography(scale, applyHomography(map, point)),
    );
  }
});
