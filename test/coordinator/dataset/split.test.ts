import { describe, expect, it } from 'vitest';
import { splitAsGiven, splitByClass, splitSamples } from '../../../coordinator/dataset/split.js';

describe('splitSamples', () => {
  it('puts each sample into one set, over a grid of counts, shares and seeds', () => {
    for (const count of [4, 10, 99, 7390]) {
      for (const share of [0.2, 0.5]) {
        for (const seed of [0, 1, 42, 2 ** 40]) {
          const { train, valid } = splitSamples(count, share, seed);
          expect(valid).toHaveLength(Math.round(count * share));
          const both = [...train, ...valid].sort((a, b) => a - b);
          expect(both).toEqual(Array.from({ length: count }, (_, i) => i));
          expect([...train]).toEqual([...train].sort((a, b) => a - b));
        }
      }
    }
  });

  it('has the sizes of the pets, and the same members on every machine', () => {
    const { train, valid } = splitSamples(7390, 0.2, 42);
    expect([train.length, valid.length]).toEqual([5912, 1478]);
    expect([...splitSamples(10, 0.3, 42).valid]).toEqual([1, 3, 7]);
    expect([...splitSamples(10, 0.3, 43).valid]).toEqual([4, 6, 8]);
  });

  it('is about a fifth of each part of the list', () => {
    const { valid } = splitSamples(10_000, 0.2, 3);
    for (let part = 0; part < 10; part += 1) {
      const inPart = valid.filter((id) => Math.floor(id / 1000) === part).length;
      expect(Math.abs(inPart - 200)).toBeLessThan(60);
    }
  });

  it.each([
    [2, 0.2],
    [2, 0.5],
    [0, 0.2],
    [100, 0],
    [100, 1],
    [100, 20],
    [100, Number.NaN],
  ])('refuses %i images with share %d', (count, share) => {
    expect(() => splitSamples(count, share, 1)).toThrow(
      expect.objectContaining({ code: 'invalid-argument', remedy: expect.any(String) }),
    );
  });
});

describe('splitByClass', () => {
  const labels = Array.from({ length: 100 }, (_, i) =>
    i < 70 ? 0 : i < 95 ? 1 : i < 98 ? 2 : i < 99 ? 3 : 4,
  );
  const countOf = (ids: Uint32Array, label: number) => ids.filter((id) => labels[id] === label).length;

  it('draws the share of each class, at least one of it, and leaves one to train on', () => {
    for (const seed of [0, 42]) {
      const { train, valid } = splitByClass(labels, 0.2, seed);
      expect([0, 1, 2, 3, 4].map((label) => countOf(valid, label))).toEqual([14, 5, 1, 0, 0]);
      expect([...train, ...valid].sort((a, b) => a - b)).toEqual(labels.map((_, id) => id));
      expect([...valid]).toEqual([...valid].sort((a, b) => a - b));
    }
    expect(countOf(splitByClass(labels, 0.99, 1).train, 1)).toBe(1);
  });

  it('depends on its arguments alone', () => {
    expect(splitByClass(labels, 0.2, 42)).toEqual(splitByClass(labels, 0.2, 42));
    expect(splitByClass(labels, 0.2, 43).valid).not.toEqual(splitByClass(labels, 0.2, 42).valid);
  });

  it.each([
    [[0, 1], 0.2],
    [[0, 0, 1], 1],
    [[0, 1, 2, 3], 0.5],
  ] as const)('refuses %j with share %d', (few, share) => {
    expect(() => splitByClass(few, share, 1)).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});

describe('splitAsGiven', () => {
  const folder = { source: 'the folder valid', otherwise: 'draw them' };

  it('divides by what it is told, and refuses sets that are too small', () => {
    const { train, valid } = splitAsGiven(5, (id) => id % 2 === 1, folder);
    expect([[...train], [...valid]]).toEqual([
      [0, 2, 4],
      [1, 3],
    ]);
    for (const isValid of [() => true, () => false, (id: number) => id > 0]) {
      expect(() => splitAsGiven(5, isValid, folder)).toThrow(
        /^with the folder valid .* images to validate on and/,
      );
    }
  });
});
