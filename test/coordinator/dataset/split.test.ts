import { describe, expect, it } from 'vitest';
import { splitSamples } from '../../../coordinator/dataset/split.js';

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
