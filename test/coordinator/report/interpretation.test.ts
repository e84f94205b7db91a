import { describe, expect, it } from 'vitest';
import { excerptConfusion } from '../../../coordinator/report/confusion-excerpt.js';
import { type EvaluatedSet, interpret } from '../../../coordinator/report/interpretation.js';
import { randomEvaluatedSet } from '../../support/report-run.js';

const options = { topCount: 3, minCount: 1 };

function evaluated(changes: Partial<EvaluatedSet> = {}): EvaluatedSet {
  return {
    classes: ['a', 'b', 'c'],
    classWeights: null,
    paths: ['0', '1', '2', '3', '4', '5'],
    labels: [0, 0, 1, 1, 1, 0],
    predictions: [0, 1, 1, 0, 0, 0],
    labelRanks: [0, 1, 0, 2, 1, 0],
    losses: [0.1, 2, 0.5, 3, 2, 0.25],
    probabilities: [0.9, 0.1, 0.6, 0.05, 0.2, 0.8],
    ...changes,
  };
}

describe('interpret', () => {
  it('counts a case by hand: rows actual, columns predicted', () => {
    const result = interpret(evaluated(), options);
    expect(excerptConfusion(result).rows.map(({ counts }) => counts)).toEqual([
      [2, 1, 0],
      [2, 1, 0],
      [0, 0, 0],
    ]);
    expect(result).toMatchObject({ images: 6, errors: 3, errorRate: 0.5 });
    expect(result.validLoss).toBeCloseTo(7.85 / 6, 12);
    expect(result.mostConfused).toEqual([
      { actual: 1, predicted: 0, count: 2 },
      { actual: 0, predicted: 1, count: 1 },
    ]);
    expect(result.topLosses.map(({ path }) => path)).toEqual(['3', '1', '4']);
    expect(result.topLosses[0]).toEqual({ path: '3', actual: 1, predicted: 0, loss: 3, probability: 0.05 });
  });

  it('scores classes, and calls 0 of 0 null', () => {
    const { scores } = interpret(evaluated(), options);
    expect(scores).toEqual([
      { support: 3, predicted: 4, correct: 2, precision: 0.5, recall: 2 / 3, f1: 4 / 7 },
      { support: 3, predicted: 2, correct: 1, precision: 0.5, recall: 1 / 3, f1: 2 / 5 },
      { support: 0, predicted: 0, correct: 0, precision: null, recall: null, f1: null },
    ]);
    const neverPredicted = interpret(evaluated({ predictions: [0, 0, 0, 0, 0, 0] }), options).scores[1];
    expect(neverPredicted).toMatchObject({ precision: null, recall: 0, f1: 0 });
    const absent = interpret(evaluated({ predictions: [2, 0, 1, 1, 1, 0] }), options).scores[2];
    expect(absent).toMatchObject({ precision: 0, recall: null, f1: 0 });
  });

  it('lists ties row by row, and leaves out what is rarer than the minimum', () => {
    const labels = [2, 2, 0, 0, 1, 1, 0];
    const predictions = [0, 0, 2, 2, 2, 0, 1];
    const tied = {
      paths: labels.map(String),
      labels,
      predictions,
      losses: labels,
      labelRanks: labels,
      probabilities: labels,
    };
    const pairs = (minCount: number) =>
      interpret(evaluated(tied), { ...options, minCount }).mostConfused.map(
        ({ actual, predicted, count }) => `${actual}>${predicted}:${count}`,
      );
    expect(pairs(1)).toEqual(['0>2:2', '2>0:2', '0>1:1', '1>0:1', '1>2:1']);
    expect(pairs(2)).toEqual(['0>2:2', '2>0:2']);
    expect(pairs(0)).toEqual(pairs(1));
    expect(pairs(3)).toEqual([]);
  });

  it('takes a loss that is not a number for the worst, and says null', () => {
    const result = interpret(evaluated({ losses: [0.1, Number.NaN, 0.5, 3, Infinity, 0.25] }), options);
    expect(result.topLosses.map(({ path, loss }) => [path, loss])).toEqual([
      ['1', null],
      ['4', null],
      ['3', 3],
    ]);
    expect(result.validLoss).toBeNull();
  });

  it('knows nothing of nothing', () => {
    const none = { paths: [], labels: [], predictions: [], losses: [], labelRanks: [], probabilities: [] };
    const result = interpret(evaluated(none), options);
    expect(result).toMatchObject({ images: 0, errors: 0, errorRate: null, validLoss: null, topLosses: [] });
    expect(result).toMatchObject({ balancedError: null, macroF1: null, top5Error: null });
  });

  it('measures what few images of a class would hide', () => {
    const result = interpret(evaluated({ labelRanks: [0, 4, 0, 5, 6, 0] }), options);
    // Class c has no image and is never predicted: it counts for neither mean.
    expect(result.balancedError).toBeCloseTo(1 - (2 / 3 + 1 / 3) / 2, 12);
    expect(result.macroF1).toBeCloseTo((4 / 7 + 2 / 5) / 2, 12);
    expect(result.top5Error).toBeCloseTo(2 / 6, 12);
  });

  it('weighs the loss as training does', () => {
    const { validLoss } = interpret(evaluated({ classWeights: [1, 3, 1] }), options);
    expect(validLoss).toBeCloseTo(7.85 / (3 * 1 + 3 * 3), 12);
  });

  it.each([
    [1, 2, 37],
    [2, 5, 300],
    [3, 37, 900],
    [4, 40, 10],
  ])('agrees with a recount, image by image (seed %d, %d classes, %d images)', (seed, classCount, count) => {
    const classes = Array.from({ length: classCount }, (_, index) => `class ${index}`);
    const all = randomEvaluatedSet(seed, count, classes);
    const result = interpret(all, { topCount: count, minCount: 1 });
    const tally = new Map<string, number>();
    const add = (key: string) => tally.set(key, (tally.get(key) ?? 0) + 1);
    const get = (key: string) => tally.get(key) ?? 0;
    for (const [index, label] of all.labels.entries()) {
      const predicted = all.predictions[index]!;
      add(`${label}>${predicted}`);
      add(`actual ${label}`);
      add(`predicted ${predicted}`);
      if (label !== predicted) add('wrong');
    }
    expect(result.errorRate).toBe(get('wrong') / count);
    for (const actual of classes.keys()) {
      for (const predicted of classes.keys()) {
        expect(result.confusion[actual]!.get(predicted) ?? 0).toBe(get(`${actual}>${predicted}`));
      }
      const [right, support, taken] = [
        get(`${actual}>${actual}`),
        get(`actual ${actual}`),
        get(`predicted ${actual}`),
      ];
      const { precision, recall, f1 } = result.scores[actual]!;
      expect(precision).toBe(taken === 0 ? null : right / taken);
      expect(recall).toBe(support === 0 ? null : right / support);
      if (precision !== null && recall !== null && precision + recall > 0) {
        expect(f1).toBeCloseTo((2 * precision * recall) / (precision + recall), 12);
      }
    }
    const confused = [...tally].filter(([key]) => /^(\d+)>(?!\1$)/.test(key)).map(([, times]) => times);
    expect(result.mostConfused.map(({ count: times }) => times)).toEqual(confused.sort((a, b) => b - a));
    expect(result.topLosses.map(({ loss }) => loss)).toEqual([...all.losses].sort((a, b) => b - a));
    expect(new Set(result.topLosses.map(({ path }) => path)).size).toBe(count);
  });
});
