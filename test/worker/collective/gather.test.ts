import { describe, expect, it } from 'vitest';
import { createRing } from '../../../worker/collective/all-reduce.js';
import type { FramedChunk } from '../../../worker/collective/codec/wire-format.js';
import { gather } from '../../../worker/collective/gather.js';
import { createMemoryRing, type MemoryLink } from '../../support/memory-link.js';

const { signal } = new AbortController();
const generation = 3n;

function gatherAt(links: readonly MemoryLink[], rank: number, bytes: Uint8Array, round = 0n, abort = signal) {
  const o = { link: links[rank], generation, rank, worldSize: links.length, round, signal: abort };
  return gather(o, bytes);
}

describe('gather', () => {
  it.each([1, 2, 3, 4, 7])(
    'gives all of %i ranks what each brought, whatever its length',
    async (worldSize) => {
      const links = createMemoryRing(worldSize);
      for (const round of [0n, 1n]) {
        const brought = links.map((_, rank) => Uint8Array.from({ length: 3 * rank }, (_, i) => rank + i));
        const all = await Promise.all(links.map((_, rank) => gatherAt(links, rank, brought[rank], round)));
        for (const each of all) expect(each).toEqual(brought);
      }
    },
  );

  it('carries more than a message holds, and what ends with one', async () => {
    const links = createMemoryRing(3);
    const brought = [3 << 20, (2 << 20) + 1, 5].map((length, rank) =>
      Uint8Array.from({ length }, (_, i) => (i >> 12) + rank),
    );
    const all = await Promise.all(links.map((_, rank) => gatherAt(links, rank, brought[rank])));
    for (const each of all) {
      expect(each.map((bytes, rank) => Buffer.compare(bytes, brought[rank]))).toEqual([0, 0, 0]);
    }
  });

  it('holds everybody back until the last has come', async () => {
    const links = createMemoryRing(3);
    let settled = 0;
    const early = [0, 1].map(async (rank) => {
      await gatherAt(links, rank, new Uint8Array(0));
      settled += 1;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(settled).toBe(0);
    await Promise.all([...early, gatherAt(links, 2, new Uint8Array(0))]);
    expect(settled).toBe(2);
  });

  const faults: [string, RegExp, (chunk: FramedChunk) => FramedChunk][] = [
    ['another generation', /generation 2, .*due: generation 3/, (chunk) => ({ ...chunk, generation: 2n })],
    ['another round', /round 5, .*due: .*round 0/, (chunk) => ({ ...chunk, round: 5n })],
    ['another hop', /hop 1, .*due: .*hop 0/, (chunk) => ({ ...chunk, hop: 1 })],
    ['a later piece', /bytes from 9 on.*due: .*bytes from 0 on/, (chunk) => ({ ...chunk, offset: 9 })],
    ['floats', /wire type 1; due: .*wire type 3/, (chunk) => ({ ...chunk, wireType: 1 })],
  ];
  it.each(faults)('refuses %s', async (_, message, fault) => {
    const links = createMemoryRing(2, { faults: new Map([[0, fault]]) });
    const other = gatherAt(links, 0, Uint8Array.of(1)).catch(() => {});
    await expect(gatherAt(links, 1, Uint8Array.of(2))).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(message),
    });
    links[1].close();
    await other;
  });

  it('is not mistaken for a sum by a rank that sums', async () => {
    const links = createMemoryRing(2);
    const ring = createRing({ rank: 1, worldSize: 2, generation, link: links[1], wire: 'float32' });
    const other = gatherAt(links, 0, new Uint8Array(0)).catch(() => {});
    await expect(ring.allReduce(new Float32Array(2), { signal })).rejects.toThrow(/wire type 3/);
    links[1].close();
    await other;
  });

  it('ends with the signal’s reason, and with the link', async () => {
    const aborting = new AbortController();
    const links = createMemoryRing(2);
    const aborted = gatherAt(links, 0, new Uint8Array(0), 0n, aborting.signal);
    aborting.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
    const cut = gatherAt(links, 1, new Uint8Array(0), 1n).catch((error: unknown) => error);
    links[1].fail(new Error('the cable'));
    expect(String(await cut)).toMatch(/the cable|another message/);
  });
});
