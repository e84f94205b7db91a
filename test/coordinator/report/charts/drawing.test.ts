import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawLine } from '../../../../coordinator/report/charts/lines.js';
import { linearScale } from '../../../../coordinator/report/charts/scales.js';
import { drawText, element, renderPng, svgDocument } from '../../../../coordinator/report/charts/svg.js';
import { drawCell, drawConfusion, inkOn, shade } from '../../../../coordinator/report/confusion-picture.js';

const unit = linearScale([0, 10], [0, 100]);

describe('element', () => {
  it('rounds, escapes and leaves out', () => {
    expect(element('a', { x: 1 / 3, name: 'b"<', none: undefined })).toBe('<a x="0.33" name="b&quot;&lt;"/>');
    expect(drawText(1, 2, '<cat & dog>')).toContain('>&lt;cat &amp; dog&gt;</text>');
  });
});

it('draws names that XML cannot hold', async () => {
  const title = 'a\u001b[31mb\u0000\uffff\ud800';
  const svg = svgDocument({ width: 40, height: 20, title }, drawText(2, 10, 'c\u0007\u000b'));
  expect(svg).toMatch(/^[^\p{Cc}\p{Cs}\uffff]+$/u);
  expect(svg).toContain('>c\ufffd\ufffd</text>');
  expect((await renderPng(svg)).subarray(1, 4).toString()).toBe('PNG');
});

describe('drawLine', () => {
  it('is interrupted by what is not finite; a point between two such is a dot', () => {
    const heights = [1, 2, Number.NaN, 4, Number.POSITIVE_INFINITY, 6, 7];
    const points = heights.map((y, x) => ({ x, y }));
    expect(drawLine(points, unit, unit, { color: 'red' })).toContain('d="M0,10L10,20M30,40ZM50,60L60,70"');
  });
});

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
    expect(inkOn(0)).not.toBe(inkOn(1));
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

describe('renderPng', () => {
  it('has the drawing’s size times the pixel ratio, and its colours', async () => {
    const half = element('rect', { width: 30, height: 20, fill: '#ff0000' });
    const svg = svgDocument({ width: 60, height: 20, title: 'half' }, half);
    const { data, info } = await sharp(await renderPng(svg, 2))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([120, 40]);
    expect([...data.subarray(0, 3)]).toEqual([255, 0, 0]);
    expect([...data.subarray(119 * info.channels, 119 * info.channels + 3)]).toEqual([255, 255, 255]);
  });
});
