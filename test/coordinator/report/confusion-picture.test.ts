import { describe, expect, it } from 'vitest';
import {
  drawCell,
  drawConfusion,
  shade,
  textColorOn,
} from '../../../coordinator/report/confusion-picture.js';

describe('drawConfusion', () => {
  it('draws more cells than a call takes arguments', () => {
    const classes = Array.from({ length: 500 }, (_, index) => `class ${index}`);
    const confusion = classes.map((_, y) => classes.map((__, x) => Number(x === y)));
    expect(drawConfusion({ classes, confusion }).match(/<rect/g)).toHaveLength(250_001);
  });
});

describe('shade', () => {
  it('darkens steadily, and its ink is always the farther one', () => {
    const sums = Array.from({ length: 21 }, (_, index) =>
      shade(index / 20)
        .match(/\d+/g)!
        .map(Number)
        .reduce((sum, part) => sum + part, 0),
    );
    for (let index = 1; index < sums.length; index += 1) expect(sums[index]).toBeLessThan(sums[index - 1]!);
    expect(textColorOn(0)).not.toBe(textColorOn(1));
    expect(shade(-1)).toBe(shade(0));
    expect(shade(2)).toBe(shade(1));
    expect(shade(Number.NaN)).toBe(shade(0));
  });

  it('fills a cell', () => {
    expect(drawCell(5, 6, 20, 1, '12')).toMatch(
      /^<rect x="5" y="6" width="20" height="20" fill="rgb\(8, 48, 107\)"\/><text/,
    );
    expect(drawCell(5, 6, 20, 0)).not.toContain('<text');
  });
});
