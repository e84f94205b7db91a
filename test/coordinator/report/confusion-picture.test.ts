import { describe, expect, it } from 'vitest';
import {
  drawCell,
  drawConfusion,
  shade,
  textColorOn,
} from '../../../coordinator/report/confusion-picture.js';

describe('drawConfusion', () => {
  it('draws all of 120 classes, and of thousands those that are confused most', () => {
    const draw = (count: number) => {
      const classes = Array.from({ length: count }, (_, index) => `class ${index}`);
      const confusion = classes.map((_, label) => new Map([[label, 1]]));
      confusion[count - 1]!.set(count - 2, 3);
      return drawConfusion({ classes, confusion });
    };
    expect(draw(120).match(/<rect/g)).toHaveLength(120 * 120 + 1);
    expect(draw(120)).not.toContain('others');
    const excerpt = draw(20_000);
    // A column more: others.
    expect(excerpt.match(/<rect/g)).toHaveLength(40 * 41 + 1);
    for (const words of ['class 19998<', 'class 19999<', 'class 37<', 'others<'])
      expect(excerpt).toContain(words);
    expect(excerpt).not.toContain('class 38<');
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
