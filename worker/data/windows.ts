import type { RowWindow } from '../../plan/augmentation.js';

/**
 * Copies the rows of `window` from an image of `rowBytes` a row to the start of `into`; beyond its ends it is
 * mirrored. The rest of `into`, which nobody samples, is set to 0.
 */
export function copyWindow(
  image: Uint8Array,
  rowBytes: number,
  { start, rows }: RowWindow,
  into: Uint8Array,
): void {
  const imageRows = image.length / rowBytes;
  const end = start + rows;
  for (let row = start; row < end; ) {
    const inside = row >= 0 && row < imageRows;
    const run = inside ? Math.min(end, imageRows) - row : 1;
    const from = mirror(row, imageRows);
    into.set(image.subarray(from * rowBytes, (from + run) * rowBytes), (row - start) * rowBytes);
    row += run;
  }
  into.fill(0, rows * rowBytes);
}

/** Rows of the largest window. */
export function mostRows(places: readonly { readonly window: RowWindow }[]): number {
  return places.reduce((most, { window }) => Math.max(most, window.rows), 0);
}

/** As ImageProjectiveTransformV3's REFLECT, and NumPy's `symmetric`: … 1 0 | 0 1 2 | 2 1 … */
function mirror(row: number, count: number): number {
  const period = 2 * count;
  const within = ((row % period) + period) % period;
  return within < count ? within : period - 1 - within;
}
