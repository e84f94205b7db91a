import { style } from './style.js';
import { drawText, element } from './svg.js';

const lightest = [247, 251, 255] as const;
const darkest = [8, 48, 107] as const;

/** From almost white (0) to dark blue (1); values outside are taken as the nearest end. */
export function shade(fraction: number): string {
  const t = Math.min(1, Math.max(0, fraction)) || 0;
  return `rgb(${lightest.map((from, index) => Math.round(from + t * (darkest[index]! - from))).join(',')})`;
}

/** Ink that is read well on `shade(fraction)`. */
export function inkOn(fraction: number): string {
  return fraction > 0.5 ? style.paper : style.ink;
}

/** A square of a heat map with its top left corner at (x, y); the words are centred on it. */
export function drawCell(x: number, y: number, side: number, fraction: number, words = ''): string {
  const square = element('rect', { x, y, width: side, height: side, fill: shade(fraction) });
  if (words === '') return square;
  const size = Math.min(style.tickSize, Math.max(6, (1.5 * side) / Math.max(2, words.length)));
  const color = inkOn(fraction);
  return (
    square + drawText(x + side / 2, y + side / 2 + 0.36 * size, words, { size, color, anchor: 'middle' })
  );
}
