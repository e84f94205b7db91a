import { describe, expect, it } from 'vitest';
import { RondoError } from '../../../runtime/errors.js';
import { createRing } from '../../../worker/collective/all-reduce.js';
import type { FramedChunk } from '../../../worker/collective/codec/wire-format.js';
import { chunkBytes } from '../../../worker/collective/geometry.js';
import { createMemoryRing, type Fault, type MemoryLink } from '../../support/memory-link.js';
import { intsOf, rankVector, sameBits, sumOf, toShared } from '../../support/vectors.js';

type Wire = 'float32' | 'bfloat16';
const signal = new AbortController().signal;
const generation = 3n;
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
          await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { signal })));
          const expected = sumOf(inputs, wire);
          for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
        }
      });
    }
  }

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
      await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { signal })));
      const expected = sumOf(inputs, 'float32');
      for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
    }
  });

  it.each(['float32', 'bfloat16'] as const)('has the same bits in every world (%s)', async (wire) => {
    const length = 3001;
    const pieces = Array.from({ length: 12 }, (_, index) => rankVector(index, length));
    const expected = sumOf(pieces, wire);
    for (const worldSize of [1, 2, 3, 4, 5, 6, 12]) {
      const vectors = Array.from({ length: worldSize }, () => new Float32Array(length));
      for (const [index, piece] of pieces.entries()) {
        const ints = intsOf(vectors[index % worldSize]);
        intsOf(piece).forEach((value, at) => {
          ints[at] += value;
        });
      }
      const rings = createRings(createMemoryRing(worldSize), wire);
      await Promise.all(rings.map((ring, rank) => ring.allReduce(vectors[rank], { signal })));
      for (const vector of vectors) expect(sameBits(vector, expected)).toBe(true);
    }
  });

  it('takes turns with what ranks tell each other', async () => {
    const rings = createRings(createMemoryRing(3), 'bfloat16');
    const inputs = [0, 1, 2].map((rank) => rankVector(rank, 50));
    const vectors = inputs.map(toShared);
    await Promise.all(
      rings.map(async (ring, rank) => {
        const told = await ring.allGather(Uint8Array.of(rank), { signal });
        expect(told.map(([byte]) => byte)).toEqual([0, 1, 2]);
        await ring.allReduce(vectors[rank], { signal });
        expect(await ring.allGather(new Uint8Array(0), { signal })).toHaveLength(3);
      }),
    );
    expect(sameBits(vectors[2], sumOf(inputs, 'bfloat16'))).toBe(true);
  });
});

const faults: [string, RegExp, Fault][] = [
  ['another generation', /generation 2 .*rank 0 .*generation 3/, (c) => change(c, { generation: 2n })],
  ['another round', /round 7, .*due: round 0/, (c) => change(c, { round: 7n })],
  ['another hop', /hop 2, /, (c) => change(c, { hop: 2 })],
  ['another place', /elements 999 /, (c) => change(c, { offset: 999 })],
  ['another wire type', /wire type 2.*due: .*wire type 4/, (c) => change(c, { wireType: 2 })],
  ['a payload cut short', /bytes; due/, (c) => change(c, { payload: c.payload.subarray(4) })],
];

function change(chunk: FramedChunk, fields: Partial<FramedChunk>): FramedChunk {
  return { ...chunk, ...fields };
}

describe('a chunk that is not the one due', () => {
  it.each(faults)('is refused: %s', async (_, message, fault) => {
    const links = createMemoryRing(3, { faults: new Map([[0, fault]]) });
    const rings = createRings(links, 'float32');
    const others = [0, 2].map((rank) => rings[rank].allReduce(rankVector(rank, 3000), { signal }));
    const outcomes = Promise.allSettled(others);
    const failure = rings[1].allReduce(rankVector(1, 3000), { signal });
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
    const first = rings[0].allReduce(rankVector(0, length), { signal });
    const settled = Promise.allSettled([first]);
    await expect(rings[1].allReduce(rankVector(1, length), { signal })).rejects.toThrow(/due/);
    links[1].close();
    expect((await settled)[0].status).toBe('rejected');
  });
});

describe('a broken ring', () => {
  it('rejects when a link breaks in either direction, and stays broken', async () => {
    const links = createMemoryRing(3);
    const rings = createRings(links, 'float32');
    const work = [0, 1].map((rank) => rings[rank].allReduce(rankVector(rank, 100), { signal }));
    links[2].fail(new RondoError('unavailable', 'rank 2 is gone'));
    for (const each of work) await expect(each).rejects.toThrow('rank 2 is gone');
    await expect(rings[0].allReduce(new Float32Array(1), { signal })).rejects.toThrow('rank 2 is gone');
  });

  it('rejects at once when the signal aborts', async () => {
    const controller = new AbortController();
    const [ring] = createRings(createMemoryRing(2), 'float32');
    const waiting = ring.allReduce(rankVector(0, 100), { signal: controller.signal });
    controller.abort(new RondoError('aborted', 'generation 3 is over'));
    await expect(waiting).rejects.toThrow('generation 3 is over');
    await expect(ring.allReduce(rankVector(0, 100), { signal })).rejects.toThrow('is over');
  });
});
