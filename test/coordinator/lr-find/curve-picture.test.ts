import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawRateCurve } from '../../../coordinator/lr-find/curve-picture.js';
import { type RatePoint, suggestRates } from '../../../coordinator/lr-find/suggestions.js';
import { renderPng } from '../../../coordinator/report/charts/svg.js';

const points = Array.from({ length: 90 }, (_, step): RatePoint => {
  const learningRate = 10 ** (-7 + 0.08 * step);
  const loss = 3 - 2 / (1 + 1e-3 / learningRate) + (learningRate / 0.1) ** 2;
  return { step, learningRate, loss: loss + ((step * 7) % 5) / 10, smoothed: loss };
});
const svg = drawRateCurve(points, suggestRates(points), 'cats & dogs');

/** Attribute values of the elements that match, as numbers. */
function coordinates(pattern: RegExp): number[][] {
  return [...svg.matchAll(pattern)].map((match) => match.slice(1).map(Number));
}

describe('drawRateCurve', () => {
  it('is one well-formed document with the words it was given', () => {
    const opened = [...svg.matchAll(/<([a-zA-Z]+)(?:\s[^>]*[^/])?>/g)].length;
    const closed = [...svg.matchAll(/<\/[a-zA-Z]+>/g)].length;
    expect(opened).toBe(closed);
    expect(svg).toContain('cats &amp; dogs');
    for (const label of ['10⁻⁶', '10⁻³', 'Training loss', 'smoothed']) expect(svg).toContain(`>${label}<`);
  });

  it('spaces powers of ten evenly: the axis is logarithmic', () => {
    const places = [...svg.matchAll(/<text x="([\d.]+)"[^>]*>10⁻[⁰-⁹¹²³]<\/text>/g)].map((match) =>
      Number(match[1]),
    );
    expect(places.length).toBeGreaterThan(4);
    const gaps = places.slice(1).map((place, index) => place - places[index]!);
    for (const gap of gaps) expect(Math.abs(gap - gaps[0]!)).toBeLessThan(0.05);
  });

  it('draws what suggestions are read off: 75 of 90 points, the first ten and the last five left out', () => {
    const paths = [...svg.matchAll(/<path d="([^"]+)"/g)].map((match) => match[1]!);
    expect(paths).toHaveLength(2);
    for (const path of paths) expect(path.match(/[ML]/g)).toHaveLength(75);
  });

  it('marks both suggestions by a rule and a dot on the curve', () => {
    const marks = svg.split('class="suggestion"').slice(1);
    expect(marks).toHaveLength(2);
    const dots = coordinates(/<circle cx="([\d.]+)" cy="([\d.]+)"/g);
    const rules = coordinates(/<line x1="([\d.]+)"[^>]*stroke-dasharray="5 4"/g);
    expect(dots.map(([x]) => x)).toEqual(rules.map(([x]) => x));
    expect(marks.map((mark) => /(steepest descent|a tenth of the minimum)</.exec(mark)?.[1]).sort()).toEqual([
      'a tenth of the minimum',
      'steepest descent',
    ]);
    // The steepest descent is a point of the drawn curve.
    const curve = [...svg.matchAll(/<path d="([^"]+)"/g)][1]![1]!;
    expect(dots.some(([x, y]) => curve.includes(`${x},${y}`))).toBe(true);
  });

  it('keeps every word and every mark on the paper', () => {
    const anchors = coordinates(/<(?:text|circle) (?:x|cx)="([\d.]+)" (?:y|cy)="([\d.]+)"/g);
    expect(anchors.length).toBeGreaterThan(15);
    for (const [x, y] of anchors) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(800);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(496);
    }
  });

  it('keeps the words of both suggestions apart, wherever they are', () => {
    for (let first = 0; first < 75; first += 3) {
      for (const gap of [0, 1, 5, 10, 20, 40]) {
        const at = (index: number) => ({
          learningRate: points[10 + Math.min(74, index)]!.learningRate,
          step: 0,
        });
        const drawn = drawRateCurve(points, { steepest: at(first), minimumTenth: at(first + gap) }, '');
        const words = [
          ...drawn.matchAll(/x="([\d.]+)" y="([\d.]+)"[^>]*?text-anchor="(\w+)">[^<]*(?:descent|minimum)</g),
        ];
        expect(words).toHaveLength(2);
        const [one, other] = words.map(([, x, y, anchor]) => {
          const start = Number(x) - { start: 0, middle: 88, end: 176 }[anchor!]!;
          expect(start, `${first} ${gap}`).toBeGreaterThanOrEqual(0);
          expect(start + 176).toBeLessThanOrEqual(800);
          return { start, y: Number(y) };
        });
        expect(one!.y !== other!.y || Math.abs(one!.start - other!.start) >= 176, `${first} ${gap}`).toBe(
          true,
        );
      }
    }
  });

  it('draws what there is when the test ended early, and when a loss is not finite', async () => {
    for (const count of [1, 2, 7, 16]) {
      const few = [...points.slice(0, count - 1), { ...points[count]!, loss: null }];
      const { width, height } = await sharp(
        await renderPng(drawRateCurve(few, suggestRates(few), 'few')),
      ).metadata();
      expect([width, height]).toEqual([1600, 992]);
    }
  });
});
