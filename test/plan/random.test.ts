import { expect, test } from 'vitest';
import { openStream, philox4x32, randomKey } from '../../plan/random.js';

type Four = [number, number, number, number];

// The known answers of the authors' own library, Random123, file tests/kat_vectors.
test.each<[Four, [number, number], Four]>([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])('philox4x32 gives the known answer for %j, %j', (counter, key, expected) => {
  const words = new Uint32Array(4);
  philox4x32(counter, key, words);
  expect([...words]).toEqual(expected);
});

test('unit is uniform: sixteen bins of 160,000 numbers pass a chi-squared test', () => {
  const stream = openStream(7, 'augmentation', 3, 5);
  const bins = new Array<number>(16).fill(0);
  for (let i = 0; i < 160_000; i += 1) bins[Math.floor(stream.unit() * 16)]! += 1;
  const chiSquared = bins.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
  expect(chiSquared).toBeLessThan(44.3); // 15 degrees of freedom, one in ten thousand
  expect(chiSquared).toBeGreaterThan(1.4); // nor suspiciously even
});

test('below covers each bound evenly and stays under it', () => {
  for (const bound of [1, 2, 3, 7, 10]) {
    const stream = openStream(1, 'permutation', bound);
    const seen = new Array<number>(bound).fill(0);
    for (let i = 0; i < 10_000 * bound; i += 1) seen[stream.below(bound)]! += 1;
    expect(seen).toHaveLength(bound);
    for (const n of seen) expect(Math.abs(n - 10_000)).toBeLessThan(500);
  }
});

test('streams differ by seed, by its upper half, by purpose and by each label', () => {
  const first = (...args: Parameters<typeof openStream>) => openStream(...args).uint32();
  const words = [
    first(1, 'permutation'),
    first(2, 'permutation'),
    first(1 + 2 ** 32, 'permutation'),
    first(1, 'augmentation'),
    first(1, 'permutation', 1),
    first(1, 'permutation', 0, 1),
  ];
  expect(new Set(words).size).toBe(words.length);
  expect(first(1, 'permutation')).toBe(words[0]);
});

test('randomKey gives int32 pairs, another for each step and micro-batch', () => {
  const keys = new Set<string>();
  for (let step = 0; step < 50; step += 1) {
    for (let index = 0; index < 8; index += 1) {
      const key = randomKey(42, step, index);
      expect(key).toEqual(randomKey(42, step, index));
      for (const word of key) expect(word | 0).toBe(word);
      keys.add(key.join());
    }
  }
  expect(keys.size).toBe(400);
});
