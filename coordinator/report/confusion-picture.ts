import { scaleLinear } from 'd3-scale';
import { largest } from '../../runtime/extremes.js';
import { drawText, element, style, svgDocument } from './charts/svg.js';
import { describeExcerpt, excerptConfusion } from './confusion-excerpt.js';
import type { Interpretation } from './interpretation.js';

const characterWidth = 0.56;
const longestName = 28;

/** The matrix as a drawing: rows actual, columns predicted; darker is a larger share of the row. */
export function drawConfusion({ classes, confusion }: Pick<Interpretation, 'classes' | 'confusion'>): string {
  const excerpt = excerptConfusion({ confusion });
  const { shown, whole, rows } = excerpt;
  const side = shown.length <= 12 ? 46 : shown.length <= 24 ? 30 : 22;
  const size = side < 30 ? 11 : style.labelSize;
  const names = shown.map((label) => {
    const name = classes[label]!;
    return name.length > longestName ? `${name.slice(0, longestName - 1)}…` : name;
  });
  const columns = whole ? names : [...names, 'others'];
  const room = Math.ceil(largest(names.map(({ length }) => length)) * characterWidth * size) + 12;
  const [left, top] = [36 + room, 96];
  const [across, down] = [side * columns.length, side * names.length];
  const [width, height] = [left + Math.max(across, 300) + 24, top + down + room + 44];
  const cells = rows.flatMap(({ counts, others, support }, y) => {
    const line = whole ? counts : [...counts, others];
    return line.map((count, x) =>
      drawCell(
        left + x * side,
        top + y * side,
        side - 1,
        strength(count, support),
        count === 0 ? '' : String(count),
      ),
    );
  });
  return svgDocument(
    { width, height, title: 'Confusion matrix: rows actual, columns predicted' },
    drawText(20, 32, 'Confusion matrix', { size: style.titleSize, weight: 600 }),
    drawText(20, 54, 'Images by actual class (rows) and predicted class (columns).', { color: style.quiet }),
    drawText(20, 72, `Darker: a larger share of its row. ${describeExcerpt(excerpt, classes)}`.trimEnd(), {
      color: style.quiet,
    }),
    element('g', { class: 'cells' }, cells),
    names.map((name, index) =>
      drawText(left - 8, top + (index + 0.5) * side + 0.36 * size, name, { size, anchor: 'end' }),
    ),
    columns.map((name, index) =>
      drawText(left + (index + 0.5) * side + 0.36 * size, top + down + 8, name, {
        size,
        anchor: 'end',
        rotate: -90,
      }),
    ),
    drawText(18, top + down / 2, 'actual', { anchor: 'middle', rotate: -90, color: style.quiet }),
    drawText(left + across / 2, height - 14, 'predicted', { anchor: 'middle', color: style.quiet }),
  );
}

/** From 0 to 1; the root lifts the few that went wrong out of the background. */
export function strength(count: number, support: number): number {
  return support === 0 ? 0 : Math.sqrt(count / support);
}

/** From almost white (0) to dark blue (1); values outside are taken as the nearest end. */
const shades = scaleLinear([0, 1], ['#f7fbff', '#08306b']).clamp(true);

export function shade(fraction: number): string {
  return shades(fraction || 0);
}

/** Ink that is read well on `shade(fraction)`. */
export function textColorOn(fraction: number): string {
  return fraction > 0.5 ? style.paper : style.ink;
}

/** A square of a heat map with its top left corner at (x, y); the words are centred on it. */
export function drawCell(x: number, y: number, side: number, fraction: number, words = ''): string {
  const square = element('rect', { x, y, width: side, height: side, fill: shade(fraction) });
  if (words === '') return square;
  const size = Math.min(style.tickSize, Math.max(6, (1.5 * side) / Math.max(2, words.length)));
  const color = textColorOn(fraction);
  return (
    square + drawText(x + side / 2, y + side / 2 + 0.36 * size, words, { size, color, anchor: 'middle' })
  );
}
