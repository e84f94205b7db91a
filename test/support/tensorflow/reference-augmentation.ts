/**
 * What the graph's input should do, pixel by pixel, in float64. Images are [rows, size, channels], square
 * unless `rows` says otherwise.
 */
export interface ReferenceImage {
  readonly size: number;
  readonly rows?: number;
  readonly channels: number;
  readonly values: ArrayLike<number>;
}

/** Mirrors a coordinate at the image's outer edges, half a pixel beyond the first and last centre. */
function reflect(coordinate: number, size: number): number {
  const period = 2 * size;
  const fromEdge = (((coordinate + 0.5) % period) + period) % period;
  const mirrored = fromEdge > size ? period - fromEdge : fromEdge;
  return Math.min(Math.max(mirrored - 0.5, 0), size - 1);
}

/** Bilinear sampling through a projective transform from output to input pixel (a0 a1 a2 b0 b1 b2 c0 c1). */
export function warp(image: ReferenceImage, transform: ArrayLike<number>, side: number): number[] {
  const [a0, a1, a2, b0, b1, b2, c0, c1] = Array.from(transform) as number[] & { length: 8 };
  const { size, rows = size, channels, values } = image;
  const result: number[] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const k = c0! * x + c1! * y + 1;
      const [sourceX, sourceY] = [
        reflect((a0! * x + a1! * y + a2!) / k, size),
        reflect((b0! * x + b1! * y + b2!) / k, rows),
      ];
      const [left, top] = [Math.floor(sourceX), Math.floor(sourceY)];
      const [right, bottom] = [Math.min(left + 1, size - 1), Math.min(top + 1, rows - 1)];
      const [u, v] = [sourceX - left, sourceY - top];
      for (let channel = 0; channel < channels; channel++) {
        const at = (row: number, column: number) => values[(row * size + column) * channels + channel]!;
        const upper = (1 - u) * at(top, left) + u * at(top, right);
        const lower = (1 - u) * at(bottom, left) + u * at(bottom, right);
        result.push((1 - v) * upper + v * lower);
      }
    }
  }
  return result;
}

/** fastai's brightness and contrast of a value in 0…1: a shift, then a scale, of its logit. */
export function light(value: number, [shift, scale]: readonly [number, number]): number {
  const clamped = Math.min(Math.max(value, 1e-7), 1 - 1e-7);
  const logit = Math.log(clamped / (1 - clamped));
  return 1 / (1 + Math.exp(-scale * (logit + shift)));
}

/** ImageNet's normalisation. */
export function normalize(value: number, channel: number): number {
  const mean = [0.485, 0.456, 0.406][channel]!;
  const deviation = [0.229, 0.224, 0.225][channel]!;
  return (value - mean) / deviation;
}
