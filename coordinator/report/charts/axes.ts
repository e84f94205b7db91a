import type { Scale, Tick } from './scales.js';
import { drawText, element, style } from './svg.js';

/** A rectangle on the paper, in pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface AxesOptions {
  readonly box: Box;
  readonly x: Scale;
  readonly y: Scale;
  readonly xLabel: string;
  readonly yLabel: string;
}

/**
 * Grid, labels of the ticks and names of both axes, around `box`: 46 pixels below it and about 60 to its
 * left.
 */
export function drawAxes({ box, x, y, xLabel, yLabel }: AxesOptions): string {
  const [right, bottom] = [box.left + box.width, box.top + box.height];
  const vertical = (tick: Tick) => drawRule(x.place(tick.value), box.top, x.place(tick.value), bottom, tick);
  const horizontal = (tick: Tick) =>
    drawRule(box.left, y.place(tick.value), right, y.place(tick.value), tick);
  const labelled = (ticks: readonly Tick[]) => ticks.filter((tick) => tick.label !== '');
  const quiet = { size: style.tickSize, color: style.quiet };
  return element(
    'g',
    { class: 'axes' },
    byWeight(x.ticks).map(vertical),
    byWeight(y.ticks).map(horizontal),
    element('line', { x1: box.left, y1: bottom, x2: right, y2: bottom, stroke: style.quiet }),
    labelled(x.ticks).map((tick) =>
      drawText(x.place(tick.value), bottom + 18, tick.label, { ...quiet, anchor: 'middle' }),
    ),
    labelled(y.ticks).map((tick) =>
      drawText(box.left - 8, y.place(tick.value) + 4, tick.label, { ...quiet, anchor: 'end' }),
    ),
    drawText(box.left + box.width / 2, bottom + 40, xLabel, { anchor: 'middle' }),
    drawText(box.left - 46, box.top + box.height / 2, yLabel, { anchor: 'middle', rotate: -90 }),
  );
}

/** Minor rules first: the labelled ones lie over them. */
function byWeight(ticks: readonly Tick[]): Tick[] {
  return ticks.toSorted((a, b) => Number(a.label !== '') - Number(b.label !== ''));
}

function drawRule(x1: number, y1: number, x2: number, y2: number, { label }: Tick): string {
  return element('line', { x1, y1, x2, y2, stroke: label === '' ? style.faintGrid : style.grid });
}
