import { describe, expect, it } from 'vitest';
import { drawLine } from '../../../../coordinator/report/charts/lines.js';
import { linearScale } from '../../../../coordinator/report/charts/scales.js';

const unit = linearScale([0, 10], [0, 100]);

describe('drawLine', () => {
  it('is interrupted by what is not finite; a point between two such is a dot', () => {
    const heights = [1, 2, Number.NaN, 4, Number.POSITIVE_INFINITY, 6, 7];
    const points = heights.map((y, x) => ({ x, y }));
    expect(drawLine(points, unit, unit, { color: 'red' })).toContain('d="M0,10L10,20M30,40ZM50,60L60,70"');
  });
});
