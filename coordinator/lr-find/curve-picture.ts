import { scaleLog } from 'd3-scale';
import { largest, smallest } from '../../runtime/extremes.js';
import { type Box, drawAxes } from '../report/charts/axes.js';
import { clipTo, drawDot, drawLegend, drawLine, type Point } from '../report/charts/lines.js';
import { linearScale, logarithmicScale, niceDomain, type Scale } from '../report/charts/scales.js';
import { drawText, element, seriesColors, style, svgDocument } from '../report/charts/svg.js';
import { formatRate } from './rate-text.js';
import { type RatePoint, type Suggestions, trimCurve } from './suggestions.js';

const paper = { width: 800, height: 496 } as const;
const box: Box = { left: 70, top: 108, width: 700, height: 320 };
const [curveColor, steepestColor, tenthColor] = seriesColors;
const yTicks = 8;
/** Room for a label beside its rule. */
const labelWidth = 190;

/** The loss over the learning rate, as SVG; `subtitle` says of which network and data. */
export function drawRateCurve(
  points: readonly RatePoint[],
  suggestions: Suggestions | null,
  subtitle: string,
): string {
  const trimmed = trimCurve(points);
  const curve = trimmed.length > 1 ? trimmed : points;
  const rates = curve.map(({ learningRate }) => learningRate);
  if (suggestions !== null) rates.push(suggestions.minimumTenth.learningRate);
  const smoothed = curve.map(pointOf(({ smoothed }) => smoothed));
  const raw = curve.map(pointOf(({ loss }) => loss));
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const x = logarithmicScale([smallest(rates), largest(rates)], [box.left, right]);
  const heights = niceDomain(
    smoothed.map((point) => point.y),
    yTicks,
  );
  const y = linearScale(heights, [bottom, box.top], yTicks);
  const title = 'Loss over the learning rate';
  return svgDocument(
    { ...paper, title: `${title}: ${subtitle}` },
    drawText(box.left, 36, title, { size: style.titleSize, weight: 600 }),
    drawText(box.left, 58, subtitle, { color: style.quiet }),
    drawAxes({ box, x, y, xLabel: 'Learning rate of the last layers', yLabel: 'Training loss' }),
    clipTo(
      box,
      'plot',
      drawLine(raw, x, y, { color: curveColor, width: 1.5, opacity: 0.25 }),
      drawLine(smoothed, x, y, { color: curveColor, width: 2.5 }),
    ),
    suggestions === null ? [] : markSuggestions(suggestions, smoothed, x, y),
    drawLegend(
      [
        { name: 'smoothed', color: curveColor, width: 2.5 },
        { name: 'of each batch', color: curveColor, width: 1.5, opacity: 0.25 },
      ],
      right - 120,
      34,
    ),
  );
}

/** A rule at each suggested rate, its words above the plot, and a dot on the curve. */
function markSuggestions(
  { steepest, minimumTenth }: Suggestions,
  curve: readonly Point[],
  x: Scale,
  y: Scale,
): string[] {
  const marks = [
    { rate: steepest.learningRate, name: 'steepest descent', color: steepestColor },
    { rate: minimumTenth.learningRate, name: 'a tenth of the minimum', color: tenthColor },
  ].toSorted((a, b) => a.rate - b.rate);
  const [left, right] = marks.map(({ rate }) => x.place(rate)) as [number, number];
  const near = middleInside(right) - middleInside(left) < labelWidth;
  // Neighbours lean apart, the left one's words ending at its rule and the right one's beginning there; at
  // the paper's edge they stand one above the other instead.
  const leaning = near && left - labelWidth > box.left && right + labelWidth < paper.width;
  return marks.map(({ rate, name, color }, index) => {
    const at = x.place(rate);
    const anchor = !leaning ? 'middle' : index === 0 ? 'end' : 'start';
    const inset = leaning ? at : middleInside(at);
    const row = near && !leaning && index === 0 ? 1 : 0;
    const dot = { x: rate, y: heightAt(curve, rate) };
    return element(
      'g',
      { class: 'suggestion' },
      element('line', {
        ...{ x1: at, y1: box.top, x2: at, y2: box.top + box.height, stroke: color },
        ...{ 'stroke-width': 1.5, 'stroke-dasharray': '5 4' },
      }),
      Number.isFinite(dot.y) ? drawDot(dot, x, y, color) : '',
      drawText(inset, box.top - 9 - 17 * row, `${formatRate(rate)} · ${name}`, {
        ...{ size: style.tickSize, color, weight: 600, anchor },
      }),
    );
  });
}

/** Words stay beside the tick labels, not over them. */
function middleInside(at: number): number {
  const [from, to] = [box.left + labelWidth / 2 - 12, paper.width - labelWidth / 2 - 4];
  return Math.min(Math.max(at, from), to);
}

function pointOf(read: (point: RatePoint) => number | null) {
  return (point: RatePoint): Point => ({ x: point.learningRate, y: read(point) ?? Number.NaN });
}

/** Of the curve between its points, along the logarithm of the rate; NaN outside of it. */
function heightAt(curve: readonly Point[], rate: number): number {
  const [first, last] = [curve[0]!.x, curve.at(-1)!.x];
  if (rate < first || rate > last) return Number.NaN;
  const heights = scaleLog(
    curve.map((point) => point.x),
    curve.map((point) => point.y),
  );
  return heights(rate);
}
