import type { Augmentation } from '../../plan/augmentation.js';

/** Solves a x = b by Gauss and Jordan's elimination with pivoting. */
function solve(a: number[][], b: number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!]);
  for (let i = 0; i < rows.length; i += 1) {
    const pivot = rows.slice(i).reduce((best, row) => (Math.abs(row[i]!) > Math.abs(best[i]!) ? row : best));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(i, 0, pivot);
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[i]! / pivot[i]!;
      for (let j = i; j < row.length; j += 1) row[j]! -= factor * pivot[j]!;
    }
  }
  return rows.map((row, i) => row.at(-1)! / row[i]!);
}

/**
 * fastai v1's steps for one output pixel, one after the other: crop, flip, grid, warp, affine matrix,
 * corner-aligned sampling.
 */
export function fastaiSampleAt(
  o: Augmentation,
  aspect: number,
  presize: number,
  size: number,
  x: number,
  y: number,
) {
  const [h, w] = aspect >= 1 ? [size, Math.round(size * aspect)] : [Math.round(size / aspect), size];
  let column = x + Math.trunc((w - size + 1) * o.crop[0]);
  const row = y + Math.trunc((h - size + 1) * o.crop[1]);
  if (o.flip) column = w - 1 - column;
  let u = -1 + (2 * column) / (w - 1);
  let v = -1 + (2 * row) / (h - 1);
  const m = o.warp;
  const original = [
    [-1, -1],
    [-1, 1],
    [1, -1],
    [1, 1],
  ] as const;
  const target = [
    [-1 - m[3], -1 - m[1]],
    [-1 - m[2], 1 + m[1]],
    [1 + m[3], -1 - m[0]],
    [1 + m[2], 1 + m[0]],
  ] as const;
  const matrix = target.flatMap(([p, q], i) => {
    const [s, t] = original[i]!;
    return [
      [p, q, 1, 0, 0, 0, -s * p, -s * q],
      [0, 0, 0, p, q, 1, -t * p, -t * q],
    ];
  });
  const c = solve(matrix, original.flat()) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const k = c[6] * u + c[7] * v + 1;
  [u, v] = [(c[0] * u + c[1] * v + c[2]) / k, (c[3] * u + c[4] * v + c[5]) / k];
  const angle = (o.angle * Math.PI) / 180;
  const s = 1 - 1 / o.zoom;
  const [fx, fy] = [s * (2 * o.focus[0] - 1), s * (2 * o.focus[1] - 1)];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  [u, v] = [
    (cos / o.zoom) * u - ((sin / o.zoom) * h * v) / w + cos * fx - sin * fy,
    ((sin / o.zoom) * w * u) / h + (cos / o.zoom) * v + sin * fx + cos * fy,
  ];
  // Stored with its long side downwards.
  const long = Math.round(presize * Math.max(aspect, 1 / aspect)) - 1;
  const [right, down] = aspect > 1 ? [long, presize - 1] : [presize - 1, long];
  const place = [((u + 1) / 2) * right, ((v + 1) / 2) * down] as const;
  return aspect > 1 ? ([place[1], place[0]] as const) : place;
}

/** What TensorFlow's ImageProjectiveTransformV3 does with the eight numbers. */
export function sampleAt(transform: Float32Array, x: number, y: number): [number, number] {
  const [a0, a1, a2, b0, b1, b2, c0, c1] = [...transform] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const k = c0 * x + c1 * y + 1;
  return [(a0 * x + a1 * y + a2) / k, (b0 * x + b1 * y + b2) / k];
}
