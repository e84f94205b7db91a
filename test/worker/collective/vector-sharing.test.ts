import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allocateReductionVector } from '../../../worker/arithmetic/reduction-vector.js';
import { cutHosts, type HostVectors, shareVectors } from '../../../worker/collective/vector-sharing.js';
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
): Promise<(HostVectors | null)[]> {
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
      expect(each!.hosts).toEqual([[0, 1, 2]]);
      const part = each!.vectors.find(vectors[rank]!.subarray(5, 10))!;
      expect(part.map((values) => [values.length, values[2]])).toEqual([
        [5, 1],
        [5, 2],
        [5, 3],
      ]);
      expect(each!.vectors.find(new Float32Array(3))).toBeNull();
    }
    expect(readdirSync(directory)).toEqual([]);
  });

  it('shows zeros once it is closed, and the others go on', async () => {
    const links = createMemoryRing(2, { sharesMemory: true });
    const vectors = allocateAll(2);
    const [first, second] = (await shareAll(links, vectors, [directory, directory])).map(
      (each) => each!.vectors,
    );
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
  ])('gives nobody anything when the rank between two others %s', async (_, where) => {
    const links = createMemoryRing(3, { sharesMemory: true });
    const vectors = allocateAll(3);
    vectors[0]![3] = 9;
    expect(await shareAll(links, vectors, [directory, where, directory])).toEqual([null, null, null]);
    expect(vectors[0]![3]).toBe(9);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('brings ranks together by host, and has every rank know of all hosts', async () => {
    const links = createMemoryRing(6, { sharesMemory: true }).map((link, rank) => ({
      ...link,
      sharesMemory: rank !== 1 && rank !== 2 && rank !== 5,
    }));
    const [first, second] = ['a', 'b'].map((name) => join(directory, name));
    for (const each of [first!, second!]) mkdirSync(each);
    const vectors = allocateAll(6);
    const shared = await shareAll(links, vectors, [first!, first!, second!, second!, second!, second!]);
    for (const each of shared) expect(each!.hosts).toEqual([[0, 1], [2], [3, 4, 5]]);
    for (const [rank, vector] of vectors.entries()) vector[7] = rank + 1;
    const seen = shared.map((each, rank) => each!.vectors.find(vectors[rank]!)!.map((values) => values[7]));
    expect(seen).toEqual([[1, 2], [1, 2], [3], [4, 5, 6], [4, 5, 6], [4, 5, 6]]);
    expect(shared[2]!.vectors.find(new Float32Array(3))).toBeNull();
    expect([first!, second!].flatMap((each) => readdirSync(each))).toEqual([]);
  });

  it('leaves the ranks of a host alone when one of them finds no file, and not those of others', async () => {
    const links = createMemoryRing(5, { sharesMemory: true }).map((link, rank) => ({
      ...link,
      sharesMemory: rank !== 1 && rank !== 4,
    }));
    const vectors = allocateAll(5);
    const missing = join(directory, 'not-there');
    const shared = await shareAll(links, vectors, [directory, directory, directory, missing, directory]);
    for (const each of shared) expect(each!.hosts).toEqual([[0, 1], [2], [3], [4]]);
    vectors[4]![7] = 5;
    expect(shared[4]!.vectors.find(vectors[4]!)!.map((values) => values[7])).toEqual([5]);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('cutHosts', () => {
  const [beside, last, unable] = [
    { canShare: true, isBesideNext: true },
    { canShare: true, isBesideNext: false },
    { canShare: false, isBesideNext: false },
  ];
  it.each([
    ['one machine', [beside, beside, beside], 9, [[0, 1, 2]]],
    [
      'two',
      [beside, last, beside, last],
      9,
      [
        [0, 1],
        [2, 3],
      ],
    ],
    ['ranks alone', [last, last, last], 9, [[0], [1], [2]]],
    ['one that cannot share after one that could', [beside, unable, beside, last], 9, [[0], [1], [2, 3]]],
    ['more than a memory holds', [beside, beside, beside, beside, last], 2, [[0, 1], [2, 3], [4]]],
    ['vectors larger than that', [beside, beside], 0, [[0], [1]]],
  ])('finds the hosts of %s', (_, places, most, hosts) => {
    expect(cutHosts(places, most)).toEqual(hosts);
  });
});
