import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { createRing } from '../../../worker/collective/all-reduce.js';
import type { FramedChunk } from '../../../worker/collective/codec/wire-format.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { createMemoryRing, type Fault, type MemoryLink } from '../../support/memory-link.js';
import { rankVector, sameBits, toShared, worstDeviation } from '../../support/vectors.js';

type Wire = 'float32' | 'bfloat16';
const signal = new AbortController().signal;
const generation = 3n;
/** One rounding of each wire type, relative. */
const roundings: Record<Wire, number> = { float32: 2 ** -24, bfloat16: 2 ** -8 };

function createRings(links: readonly MemoryLink[], wire: Wire) {
  return links.map((link, rank) => createRing({ rank, worldSize: links.length, generation, link, wire }));
}

describe('allReduce', () => {
  for (const wire of ['float32', 'bfloat16'] as const) {
    for (const worldSize of [1, 2, 3, 4, 5, 6, 7, 8]) {
      it(`sums alike on all of ${worldSize} ranks, ${wire}`, async () => {
        // The last one is more blocks than are under way at once in small worlds, and more than one in all.
        const large = 131_073 * worldSize * (worldSize > 3 ? 1 : 6) + 5;
        const lengths = [0, 1, worldSize - 1, worldSize, 1001, large];
        const rings = createRings(createMemoryRing(worldSize), wire);
        for (const length of lengths) {
          const inputs = Array.from({ length: worldSize }, (_, rank) => rankVector(rank, length));
          const vectors = inputs.map(toShared);
          await Promise.all(
            rings.map((ring, rank) => ring.allReduce(vectors[rank], { exactFrom: length, signal })),
          );
          for (const vector of vectors) expect(sameBits(vector, vectors[0])).toBe(true);
          expect(worstDeviation(vectors[0], inputs)).toBeLessThanOrEqual(2 * worldSize * roundings[wire]);
        }
      });
    }
  }

  it.each([1, 2, 3, 4])('lets elements from exactFrom on travel as float32 (%i ranks)', async (worldSize) => {
    const length = 5003;
    for (const exactFrom of [0, 1, 2500, length - 1, length]) {
      const rings = createRings(createMemoryRing(worldSize), 'bfloat16');
      const inputs = Array.from({ length: worldSize }, (_, rank) => rankVector(rank, length));
      const vectors = inputs.map(toShared);
      await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { exactFrom, signal })));
      const exact = vectors[0].subarray(exactFrom);
      const exactInputs = inputs.map((input) => input.subarray(exactFrom));
      expect(worstDeviation(exact, exactInputs)).toBeLessThanOrEqual(2 * worldSize * roundings.float32);
      for (const vector of vectors) expect(sameBits(vector, vectors[0])).toBe(true);
      const bits = new Uint32Array(vectors[0].buffer, 0, exactFrom);
      expect(bits.every((value) => (value & 0xffff) === 0)).toBe(true);
    }
  });

  it.each(['float32', 'bfloat16'] as const)('carries NaN and infinities to every rank (%s)', async (wire) => {
    const rings = createRings(createMemoryRing(3), wire);
    const vectors = [0, 1, 2].map((rank) => rankVector(rank, 10));
    vectors[1][0] = Number.NaN;
    vectors[2][4] = Number.POSITIVE_INFINITY;
    vectors[0][9] = Number.NEGATIVE_INFINITY;
    vectors[1][9] = Number.POSITIVE_INFINITY;
    await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { exactFrom: 10, signal })));
    for (const vector of vectors) {
      expect([vector[0], vector[4], vector[9]]).toEqual([Number.NaN, Number.POSITIVE_INFINITY, Number.NaN]);
      expect(Number.isFinite(vector[1])).toBe(true);
    }
  });

  it('holds over many rounds with links that dawdle', async () => {
    let seed = 1;
    const delayMs = () => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed % 3;
    };
    const rings = createRings(createMemoryRing(4, { delayMs }), 'float32');
    for (let round = 0; round < 5; round += 1) {
      const inputs = [0, 1, 2, 3].map((rank) => rankVector(rank + round, 777));
      const vectors = inputs.map(toShared);
      await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { exactFrom: 700, signal })));
      for (const vector of vectors) expect(sameBits(vector, vectors[0])).toBe(true);
      expect(worstDeviation(vectors[0], inputs)).toBeLessThan(1e-6);
    }
  });

  it('gives a world of one the rounding that a ring would', async () => {
    const alone = rankVector(0, 500);
    const [ring] = createRings(createMemoryRing(1), 'bfloat16');
    await ring.allReduce(alone, { exactFrom: 400, signal });
    const pair = [rankVector(0, 500), new Float32Array(500)];
    const rings = createRings(createMemoryRing(2), 'bfloat16');
    await Promise.all(rings.map((each, rank) => each.allReduce(pair[rank], { exactFrom: 400, signal })));
    expect(sameBits(alone, pair[0])).toBe(true);
  });
});

const faults: [string, RegExp, Fault][] = [
  ['another generation', /generation 2 .*rank 0 .*generation 3/, (c) => change(c, { generation: 2n })],
  ['another round', /round 7, .*due: round 0/, (c) => change(c, { round: 7n })],
  ['another hop', /hop 2, /, (c) => change(c, { hop: 2 })],
  ['another place', /elements 999 /, (c) => change(c, { offset: 999 })],
  ['another wire type', /wire type 2/, (c) => change(c, { wireType: 2 })],
  ['a payload cut short', /bytes; due/, (c) => change(c, { payload: c.payload.subarray(4) })],
];

function change(chunk: FramedChunk, fields: Partial<FramedChunk>): FramedChunk {
  return { ...chunk, ...fields };
}

describe('a chunk that is not the one due', () => {
  it.each(faults)('is refused: %s', async (_, message, fault) => {
    const links = createMemoryRing(3, { faults: new Map([[0, fault]]) });
    const rings = createRings(links, 'float32');
    const others = [0, 2].map((rank) =>
      rings[rank].allReduce(rankVector(rank, 3000), { exactFrom: 3000, signal }),
    );
    const outcomes = Promise.allSettled(others);
    const failure = rings[1].allReduce(rankVector(1, 3000), { exactFrom: 3000, signal });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(RondoError);
    for (const link of links) link.close();
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('is noticed when one is lost', async () => {
    const lost: Fault = (chunk, sent) => (sent === 1 ? null : chunk);
    const links = createMemoryRing(2, { faults: new Map([[0, lost]]) });
    const rings = createRings(links, 'float32');
    // Several blocks: chunks follow the lost one, and the first of them tells.
    const length = 3 * 2 * (chunkBytes / 4);
    const first = rings[0].allReduce(rankVector(0, length), { exactFrom: length, signal });
    const settled = Promise.allSettled([first]);
    await expect(rings[1].allReduce(rankVector(1, length), { exactFrom: length, signal })).rejects.toThrow(
      /due/,
    );
    links[1].close();
    expect((await settled)[0].status).toBe('rejected');
  });
});

describe('a broken ring', () => {
  it('rejects when a link breaks in either direction, and stays broken', async () => {
    const links = createMemoryRing(3);
    const rings = createRings(links, 'float32');
    const work = [0, 1].map((rank) =>
      rings[rank].allReduce(rankVector(rank, 100), { exactFrom: 100, signal }),
    );
    links[2].fail(new RondoError('unavailable', 'rank 2 is gone'));
    for (const each of work) await expect(each).rejects.toThrow('rank 2 is gone');
    await expect(rings[0].allReduce(new Float32Array(1), { exactFrom: 1, signal })).rejects.toThrow(
      'rank 2 is gone',
    );
  });

  it('rejects at once when the signal aborts', async () => {
    const controller = new AbortController();
    const [ring] = createRings(createMemoryRing(2), 'float32');
    const waiting = ring.allReduce(rankVector(0, 100), { exactFrom: 100, signal: controller.signal });
    controller.abort(new RondoError('aborted', 'generation 3 is over'));
    await expect(waiting).rejects.toThrow('generation 3 is over');
    await expect(ring.allReduce(rankVector(0, 100), { exactFrom: 100, signal })).rejects.toThrow('is over');
  });
});
