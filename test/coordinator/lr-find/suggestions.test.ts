import { describe, expect, it } from 'vitest';
import { renderCurve, renderSuggestions } from '../../../coordinator/lr-find/rate-text.js';
import { type RatePoint, suggestRates, trimCurve } from '../../../coordinator/lr-find/suggestions.js';

/** A point per loss, at rates 1e-7, 1e-6.9, … */
function curveOf(losses: readonly (number | null)[]): RatePoint[] {
  return losses.map((smoothed, step) => ({
    step,
    learningRate: 10 ** (-7 + step / 10),
    loss: smoothed,
    smoothed,
  }));
}

const flat = (count: number, loss: number) => new Array<number>(count).fill(loss);

describe('suggestRates', () => {
  it('reads the steepest descent and a tenth of the minimum off a hand-made curve', () => {
    // Falls by .1, then by .5 twice, then by .2; lowest at step 24.
    const curve = curveOf([...flat(20, 3), 2.9, 2.4, 1.9, 1.7, 1.6, 1.8, ...flat(6, 9)]);
    const suggestions = suggestRates(curve)!;
    expect(suggestions.steepest).toEqual({ step: 21, learningRate: curve[21]!.learningRate });
    expect(suggestions.minimumTenth.step).toBe(24);
    expect(suggestions.minimumTenth.learningRate).toBeCloseTo(10 ** (-7 + 2.4 - 1), 12);
  });

  it('leaves out the first ten points and the last five, however steep and low', () => {
    const noisy = [9, 1, 9, 1, 9, 1, 9, 1, 9, 0];
    const exploding = [-5, -50, -500, 0, 0];
    const curve = curveOf([...noisy, 3, 2.8, 2, 1.9, 2.5, ...exploding]);
    expect(suggestRates(curve)).toEqual({
      steepest: { step: 11, learningRate: curve[11]!.learningRate },
      minimumTenth: { step: 13, learningRate: curve[13]!.learningRate / 10 },
    });
    expect(trimCurve(curve).map(({ step }) => step)).toEqual([10, 11, 12, 13, 14]);
  });

  it('takes one-sided differences at both ends, as numpy.gradient does', () => {
    const first = curveOf([...flat(10, 0), 5, 2, 1.5, 1.2, ...flat(5, 0)]);
    expect(suggestRates(first)!.steepest.step).toBe(10);
    const last = curveOf([...flat(10, 0), 5, 4.9, 4.8, 1, ...flat(5, 0)]);
    expect(suggestRates(last)!.steepest.step).toBe(13);
  });

  it('takes the first of equals', () => {
    const curve = curveOf([...flat(10, 0), 4, 3, 2, 1, 1, 1, ...flat(5, 0)]);
    expect(suggestRates(curve)).toMatchObject({ steepest: { step: 10 }, minimumTenth: { step: 13 } });
  });

  it('suggests nothing when fewer than two points are left', () => {
    for (const count of [0, 1, 10, 15, 16]) expect(suggestRates(curveOf(flat(count, 1)))).toBeNull();
    expect(suggestRates(curveOf(flat(17, 1)))).not.toBeNull();
    expect(suggestRates(curveOf(new Array<null>(30).fill(null)))).toBeNull();
  });
});

describe('the words', () => {
  it('show at most sixteen rows, the first and the last among them', () => {
    for (const count of [1, 2, 15, 16, 17, 40, 100, 1000]) {
      const rows = renderCurve(curveOf(flat(count, 1))).slice(1);
      expect(rows.length).toBeLessThanOrEqual(16);
      expect(rows[0]).toMatch(/^0 /);
      expect(rows.at(-1)).toMatch(new RegExp(`^${count - 1} `));
    }
    expect(renderCurve(curveOf([null, 1e5]))[1]).toContain('nan');
  });

  it('name both rates, and the doubt when they are far apart', () => {
    const at = (learningRate: number) => ({ learningRate, step: 0 });
    const near = renderSuggestions({ steepest: at(1.1e-3), minimumTenth: at(9.2e-3) }, 90);
    expect(near).toHaveLength(2);
    expect(near.join('\n')).toMatch(/1\.1e-3[\s\S]*9\.2e-3/);
    expect(renderSuggestions({ steepest: at(1e-6), minimumTenth: at(1e-3) }, 90)).toHaveLength(3);
    expect(renderSuggestions(null, 7)[0]).toContain('7 steps are too few');
  });
});
