import type { ReferenceImage } from './tensorflow/reference-augmentation.js';

interface Filter {
  /** The first pixel that has a weight. */
  readonly first: number;
  readonly weights: readonly number[];
}

/**
 * A triangle filter, as wide as the shrink factor, for each of `to` places over `from` pixels: PIL's
 * BILINEAR, and torchvision's Resize with antialiasing (Pillow, src/libImaging/Resample.c).
 */
function triangle(from: number, to: number): Filter[] {
  const scale = from / to;
  const radius = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - radius));
    const end = Math.min(from, Math.ceil(centre + radius));
    const weights = Array.from({ length: end - first }, (_, at) =>
      Math.max(0, 1 - Math.abs(first + at + 0.5 - centre) / radius),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** [h, w, 3] to [toHeight, toWidth, 3], rounded to 8 bits. */
export function resize(
  values: ArrayLike<number>,
  [height, width]: readonly [number, number],
  [toHeight, toWidth]: readonly [number, number],
): number[] {
  const [rows, columns] = [triangle(height, toHeight), triangle(width, toWidth)];
  const narrow = Array.from({ length: height * toWidth * 3 }, (_, at) => {
    const [y, x, channel] = [Math.floor(at / 3 / toWidth), Math.floor(at / 3) % toWidth, at % 3];
    const { first, weights } = columns[x]!;
    return weights.reduce(
      (sum, weight, column) => sum + weight * values[(y * width + first + column) * 3 + channel]!,
      0,
    );
  });
  return Array.from({ length: toHeight * toWidth * 3 }, (_, at) => {
    const [y, rest] = [Math.floor(at / 3 / toWidth), at % (toWidth * 3)];
    const { first, weights } = rows[y]!;
    return Math.round(
      weights.reduce((total, weight, row) => total + weight * narrow[(first + row) * toWidth * 3 + rest]!, 0),
    );
  });
}

/**
 * An image [h, w, 3] with its short side at `presize` and its long side, up to eight times that, downwards.
 */
export function storeImage(
  values: ArrayLike<number>,
  height: number,
  width: number,
  presize: number,
): ReferenceImage {
  const long = Math.round(presize * Math.min(Math.max(width / height, height / width), 8));
  if (width <= height) {
    return {
      size: presize,
      rows: long,
      channels: 3,
      values: resize(values, [height, width], [long, presize]),
    };
  }
  const upright = resize(values, [height, width], [presize, long]);
  const turned = Array.from({ length: upright.length }, (_, at) => {
    const [row, column, channel] = [Math.floor(at / 3 / presize), Math.floor(at / 3) % presize, at % 3];
    return upright[(column * long + row) * 3 + channel]!;
  });
  return { size: presize, rows: long, channels: 3, values: turned };
}
