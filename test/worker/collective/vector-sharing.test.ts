import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allocateReductionVector } from '../../../worker/arithmetic/reduction-vector.js';
import type { SharedVectors } from '../../../worker/collective/transport/shared-memory/shared-vectors.js';
import { shareVectors } from '../../../worker/collective/vector-sharing.js';
import { createMemoryRing, type MemoryLink } from '../../support/memory-link.js';

const { signal } = new AbortController();
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rondo-sharing-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** What every rank gets when each looks for memory in its own of `directories`. */
function shareAll(
  links: readonly MemoryLink[],
  vectors: readonly Float32Array[],
  directories: readonly (string | null)[],
): Promise<(SharedVectors | null)[]> {
  const place = { generation: 1n, worldSize: links.length, signal };
  return Promise.all(
    links.map((link, rank) =>
      shareVectors({ ...place, link, rank, vectors: [vectors[rank]!], directory: directories[rank]! }),
    ),
  );
}

const allocateAll = (worldSize: number) =>
  Array.from({ length: worldSize }, () => allocateReductionVector(1000));

describe('shareVectors', () => {
  it('lets every rank see what any of them writes, under its rank, and nothing else', async () => {
    const links = createMemoryRing(3, { sharesMemory: true });
    const vectors = allocateAll(3);
    const shared = await shareAll(links, vectors, [directory, directory, directory]);
    for (const [rank, vector] of vectors.entries()) vector[7] = rank + 1;
    for (const [rank, each] of shared.entries()) {
      const part = each!.find(vectors[rank]!.subarray(5, 10))!;
      expect(part.map((values) => [values.length, values[2]])).toEqual([
        [5, 1],
        [5, 2],
        [5, 3],
      ]);
      expect(each!.find(new Float32Array(3))).toBeNull();
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  it('shows zeros once it is closed, and the others go on', async () => {
    const links = createMemoryRing(2, { sharesMemory: true });
    const vectors = allocateAll(2);
    const [first, second] = await shareAll(links, vectors, [directory, directory]);
    vectors[1]![0] = 5;
    const before = first!.find(vectors[0]!)!;
    expect(before[1]![0]).toBe(5);
    first!.close();
    first!.close();
    expect(before[1]![0]).toBe(0);
    expect(second!.find(vectors[1]!)![1]![0]).toBe(5);
  });

  it.each([
    ['has no memory file system', join(tmpdir(), 'rondo-not-there')],
    ['is to share nothing', null],
  ])('gives nobody anything when one rank %s', async (_, where) => {
    const links = createMemoryRing(3, { sharesMemory: true });
    const vectors = allocateAll(3);
    vectors[0]![3] = 9;
    expect(await shareAll(links, vectors, [directory, where, directory])).toEqual([null, null, null]);
    expect(vectors[0]![3]).toBe(9);
    expect(readdirSync(directory)).toEqual([]);
  });
});
