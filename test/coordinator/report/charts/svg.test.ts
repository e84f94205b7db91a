import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawText, element, renderPng, svgDocument } from '../../../../coordinator/report/charts/svg.js';

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
