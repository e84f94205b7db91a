import { describe, expect, it } from 'vitest';
import {
  balanceClasses,
  labelByFolder,
  labelByPattern,
  labelPaths,
} from '../../../coordinator/dataset/labels.js';

const files = (...paths: string[]) => paths.map((path) => ({ path }));

describe('labelPaths', () => {
  it('takes the parent folder, and sorts capitals first and beyond UTF-16 by code point', () => {
    const names = [
      'train/zebra/1.jpg',
      'valid/zebra/2.jpg',
      'Zebra/3.jpg',
      'äpfel/4.jpg',
      '\u{1f98a}/5.jpg',
      '\uff5e/6.jpg',
      '7.jpg',
    ];
    const { classes, labels } = labelPaths(files(...names), labelByFolder());
    expect(classes).toEqual(['Zebra', 'zebra', 'äpfel', '\uff5e', '\u{1f98a}']);
    expect(labels).toEqual([1, 1, 0, 2, 4, 3, undefined]);
  });

  it('takes composed and decomposed letters for the same class, by folder and by pattern', () => {
    const names = ['caf\u00e9/1.jpg', 'cafe\u0301/2.jpg', 'tea/3.jpg'];
    const found = { classes: ['caf\u00e9', 'tea'], labels: [0, 0, 1] };
    expect(labelPaths(files(...names), labelByFolder())).toEqual(found);
    expect(labelPaths(files(...names), labelByPattern('/(cafe\u0301|tea)/'))).toEqual(found);
    expect(labelPaths(files(...names), labelByPattern('/(caf.|tea)/'))).toEqual(found);
  });

  it("takes fastai's pattern for the pets, also of files at the root", () => {
    const names = ['great_pyrenees_12.jpg', 'images/Bombay_7.jpg', 'images/Bombay_8.png', 'images/_9.jpg'];
    const { classes, labels } = labelPaths(files(...names), labelByPattern(String.raw`/([^/]+)_\d+.jpg$`));
    expect(classes).toEqual(['Bombay', 'great_pyrenees']);
    expect(labels).toEqual([1, 0, undefined, undefined]);
  });
});

describe('labelByPattern', () => {
  it.each([
    ['(', /not a regular expression/],
    ['abc', /has 0 capture groups/],
    ['(?:a)b', /has 0 capture groups/],
    ['(a)(b)', /has 2 capture groups/],
    ['(?<x>a)|(b)', /has 2 capture groups/],
  ])('refuses %s', (pattern, message) => {
    expect(() => labelByPattern(pattern)).toThrow(message);
    expect(() => labelByPattern(pattern)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', remedy: expect.any(String) }),
    );
  });

  it.each(['(a)', '(?<name>a)', String.raw`\((a)`, '[(](a)', '(?:x|(a))'])(
    'accepts %s, which has one group',
    (pattern) => {
      expect(labelByPattern(pattern)('(a')).toBe('a');
    },
  );
});

describe('balanceClasses', () => {
  it('is n / (classes × count), as scikit-learn computes it', () => {
    // compute_class_weight('balanced', classes=[0, 1, 2], y=[0]*6 + [1]*3 + [2]*1)
    const labels = [0, 0, 0, 1, 0, 1, 2, 0, 1, 0];
    const weights = balanceClasses(3, labels);
    expect(weights).toEqual([10 / 18, 10 / 9, 10 / 3]);
    const total = labels.reduce((sum, label) => sum + weights[label]!, 0);
    expect(total / labels.length).toBeCloseTo(1, 12);
  });

  it('is 1 for classes of one size, and for one without samples', () => {
    expect(balanceClasses(2, [0, 1, 1, 0])).toEqual([1, 1]);
    expect(balanceClasses(3, [0, 0, 2, 2])[1]).toBe(1);
  });
});
