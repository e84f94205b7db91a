import { line } from 'd3-shape';
import type { Box } from './axes.js';
import type { Scale } from './scales.js';
import { type Drawn, drawText, element, style } from './svg.js';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface LineStyle {
  readonly color: string;
  readonly width?: number;
  readonly opacity?: number;
  /** As in SVG: lengths of strokes and gaps. */
  readonly dashes?: string;
}

/** A line through `points`; one that is not finite interrupts it, and one between two such is a dot. */
export function drawLine(points: readonly Point[], x: Scale, y: Scale, o: LineStyle): string {
  const path = line<Point>()
    .defined((point) => Number.isFinite(x.place(point.x)) && Number.isFinite(y.place(point.y)))
    .x((point) => x.place(point.x))
    .y((point) => y.place(point.y))
    .digits(2);
  return element('path', {
    d: path(points) ?? '',
    fill: 'none',
    stroke: o.color,
    'stroke-width': o.width ?? 2,
    'stroke-opacity': o.opacity,
    'stroke-dasharray': o.dashes,
    'stroke-linejoin': 'round',
    'stroke-linecap': 'round',
  });
}

/** A ringed dot. */
export function drawDot(point: Point, x: Scale, y: Scale, color: string): string {
  const [cx, cy] = [x.place(point.x), y.place(point.y)];
  return element('circle', { cx, cy, r: 5, fill: color, stroke: style.paper, 'stroke-width': 2 });
}

/** Cuts off what `children` draw outside of `box`. `id` is unique in the document. */
export function clipTo(box: Box, id: string, ...children: readonly Drawn[]): string {
  const { left, top, width, height } = box;
  const path = element('clipPath', { id }, element('rect', { x: left, y: top, width, height }));
  return path + element('g', { 'clip-path': `url(#${id})` }, ...children);
}

export interface LegendEntry extends LineStyle {
  readonly name: string;
}

/** One row per line, from (x, y) downwards, 20 pixels each. */
export function drawLegend(entries: readonly LegendEntry[], x: number, y: number): string {
  const rows = entries.map((entry, index) => {
    const middle = y + 20 * index;
    const stroke = element('line', {
      x1: x,
      y1: middle,
      x2: x + 22,
      y2: middle,
      stroke: entry.color,
      'stroke-width': entry.width ?? 2,
      'stroke-opacity': entry.opacity,
      'stroke-dasharray': entry.dashes,
    });
    return stroke + drawText(x + 30, middle + 4, entry.name, { size: style.tickSize });
  });
  return element('g', { class: 'legend' }, rows);
}
