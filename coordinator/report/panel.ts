import { type Box, drawAxes } from './charts/axes.js';
import { clipTo, drawLegend, drawLine, type Point } from './charts/lines.js';
import type { Interval, Scale } from './charts/scales.js';
import { drawText, element, style, svgDocument } from './charts/svg.js';

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  readonly color: string;
  readonly width?: number;
  readonly opacity?: number;
  readonly dashes?: string;
  /** Marks each point: for series of few points, which may be a single one. */
  readonly dots?: boolean;
}

/** One chart: what it shows and along which axes. */
export interface Panel {
  /** Unique in a document. */
  readonly id: string;
  readonly title: string;
  readonly yLabel: string;
  readonly x: (range: Interval) => Scale;
  readonly y: (range: Interval) => Scale;
  readonly series: readonly Series[];
  /** Named places along x, such as the beginning of a phase. */
  readonly marks: readonly { readonly x: number; readonly name: string }[];
}

const panelSize = { width: 560, height: 340 } as const;
const margin = { left: 72, top: 62, right: 20, bottom: 56 } as const;

/** A drawing of the panels side by side. */
export function drawPanels(title: string, panels: readonly Panel[]): string {
  const size = { width: panelSize.width * panels.length, height: panelSize.height };
  return svgDocument(
    { ...size, title },
    panels.map((panel, index) => drawPanel(panel, index)),
  );
}

function drawPanel({ id, title, yLabel, series, marks, ...axes }: Panel, column: number): string {
  const left = column * panelSize.width;
  const box: Box = {
    left: left + margin.left,
    top: margin.top,
    width: panelSize.width - margin.left - margin.right,
    height: panelSize.height - margin.top - margin.bottom,
  };
  const x = axes.x([box.left, box.left + box.width]);
  const y = axes.y([box.top + box.height, box.top]);
  return element(
    'g',
    {},
    drawText(left + margin.left, 24, title, { size: style.titleSize, weight: 600 }),
    drawAxes({ box, x, y, xLabel: 'epochs', yLabel }),
    marks.map((mark) => drawMark(mark, box, x)),
    clipTo(
      box,
      id,
      series.map((line) => drawLine(line.points, x, y, line)),
    ),
    series.filter(({ dots }) => dots).map(({ points, color }) => drawDots(points, x, y, color)),
    series.length > 1 ? drawNames(series, box.left) : [],
  );
}

function drawMark({ x: at, name }: Panel['marks'][number], { top, height }: Box, x: Scale): string {
  const place = x.place(at);
  const line = { x1: place, y1: top, x2: place, y2: top + height, stroke: style.quiet };
  const words = drawText(place + 5, top + 12, name, { size: style.tickSize, color: style.quiet });
  return at === 0 ? words : element('line', { ...line, 'stroke-dasharray': '3 4' }) + words;
}

function drawDots(points: readonly Point[], x: Scale, y: Scale, fill: string): string {
  const drawn = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
  const r = drawn.length > 30 ? 2 : 3.5;
  const dots = drawn.map((point) =>
    element('circle', { cx: x.place(point.x), cy: y.place(point.y), r, fill }),
  );
  return dots.join('');
}

/** In one row above the axes. */
function drawNames(series: readonly Series[], left: number): string[] {
  let at = left;
  return series.map((line) => {
    const entry = drawLegend([line], at, 44);
    at += 56 + 6.6 * line.name.length;
    return entry;
  });
}
