/**
 * A projective map of the plane, row by row: (x, y) → ((m0 x + m1 y + m2)/k, (m3 x + m4 y + m5)/k), k = m6 x
 * + m7 y + m8.
 */
export type Homography = readonly [number, number, number, number, number, number, number, number, number];

export type Point = readonly [x: number, y: number];

export function scaleAndShift(scaleX: number, scaleY: number, shiftX: number, shiftY: number): Homography {
  return [scaleX, 0, shiftX, 0, scaleY, shiftY, 0, 0, 1];
}

/** (x, y) → (y, x) */
export const swapAxes: Homography = [0, 1, 0, 1, 0, 0, 0, 0, 1];

/** The map that applies the last of `maps` first, as matrix products read. */
export function compose(...maps: readonly Homography[]): Homography {
  return maps.reduce(multiply);
}

export function applyHomography(m: Homography, [x, y]: Point): Point {
  const k = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / k, (m[3] * x + m[4] * y + m[5]) / k];
}

/** The inverse up to a factor, which a projective map does not notice: the adjugate. */
export function invert(m: Homography): Homography {
  const [a, b, c, d, e, f, g, h, i] = m;
  return [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ];
}

/**
 * The map that takes the corners of [−1, 1]² to the given points (Heckbert, "Fundamentals of texture mapping
 * and image warping", 1989, section 2.2.3, there for the unit square).
 */
export function squareToQuad(corners: {
  readonly topLeft: Point;
  readonly topRight: Point;
  readonly bottomRight: Point;
  readonly bottomLeft: Point;
}): Homography {
  const [x0, y0] = corners.topLeft;
  const [x1, y1] = corners.topRight;
  const [x2, y2] = corners.bottomRight;
  const [x3, y3] = corners.bottomLeft;
  const sumX = x0 - x1 + x2 - x3;
  const sumY = y0 - y1 + y2 - y3;
  const determinant = (x1 - x2) * (y3 - y2) - (x3 - x2) * (y1 - y2);
  const g = (sumX * (y3 - y2) - (x3 - x2) * sumY) / determinant;
  const h = ((x1 - x2) * sumY - sumX * (y1 - y2)) / determinant;
  const fromUnitSquare: Homography = [
    x1 - x0 + g * x1,
    x3 - x0 + h * x3,
    x0,
    y1 - y0 + g * y1,
    y3 - y0 + h * y3,
    y0,
    g,
    h,
    1,
  ];
  return compose(fromUnitSquare, scaleAndShift(0.5, 0.5, 0.5, 0.5));
}

function multiply(a: Homography, b: Homography): Homography {
  const entry = (row: 0 | 3 | 6, column: 0 | 1 | 2) =>
    a[row] * b[column] + a[(row + 1) as 1] * b[(column + 3) as 3] + a[(row + 2) as 2] * b[(column + 6) as 6];
  return [
    entry(0, 0),
    entry(0, 1),
    entry(0, 2),
    entry(3, 0),
    entry(3, 1),
    entry(3, 2),
    entry(6, 0),
    entry(6, 1),
    entry(6, 2),
  ];
}
