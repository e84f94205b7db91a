import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Dataset } from '../../../proto/dataset.js';
import { CoordinatorClient } from '../../../proto/gen/coordinator.js';
import { RondoError } from '../../../runtime/errors.js';
import { openChannel } from '../../../runtime/grpc/channel.js';
import type { GrpcServer } from '../../../runtime/grpc/server.js';
import {
  type FetchSamples,
  openFallbackSource,
  openFetchedSource,
} from '../../../worker/data/fetched-source.js';
import { openSource } from '../../../worker/data/source.js';
import { testCredentials } from '../../support/credentials.js';
import { serveCoordinator } from '../../support/serve-coordinator.js';

let folder: string;
let dataset: Dataset;
let server: GrpcServer;
let client: CoordinatorClient;
/** The ids of every call. */
let calls: number[][];
let fetch: FetchSamples;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'rondo-samples-'));
  // The last is of several pieces.
  const files = [10, 100, 1_000, 3_000_000].map((bytes, id) => Buffer.alloc(bytes, id + 1));
  const train = files.map((bytes, id) => {
    writeFileSync(path.join(folder, `${id}.jpg`), bytes);
    const digest = createHash('sha256').update(bytes).digest('hex');
    return { path: `${id}.jpg`, label: 0, width: 8, height: 8, digest };
  });
  dataset = { root: folder, classes: ['a'], train, valid: train.slice(0, 1), digest: 'any' };
  server = await serveCoordinator('127.0.0.1:0', { dataset });
  client = openChannel(CoordinatorClient, server.address, {
    ...{ credentials: testCredentials, peer: 'anybody', maxReceiveBytes: 4 << 20 },
  });
  calls = [];
  fetch = (split, ids) => {
    calls.push([...ids]);
    return client.fetchSamples({ valid: split === 'valid', ids: [...ids] });
  };
});
afterEach(() => {
  client.close();
  server.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const absenceMs = 60_000;

it('brings the samples that are asked for together by one call, whole and checked', async () => {
  const source = openFetchedSource(dataset, fetch, absenceMs);
  const read = await Promise.all([3, 0, 2].map((id) => source.read('train', id)));
  for (const [index, id] of [3, 0, 2].entries()) {
    expect(Buffer.compare(read[index]!, readFileSync(path.join(folder, `${id}.jpg`)))).toBe(0);
  }
  expect(calls).toEqual([[3, 0, 2]]);
  expect(await source.read('valid', 0)).toHaveLength(10);
  await source.close();
  await expect(source.read('train', 1)).rejects.toMatchObject({ code: 'cancelled' });
});

it('takes nothing that has another digest than the index, from here or from there', async () => {
  const other = {
    ...dataset,
    train: Array.from(dataset.train, (sample) => ({ ...sample, digest: '0'.repeat(64) })),
  };
  const source = openFetchedSource(other, fetch, absenceMs);
  await expect(source.read('train', 0)).rejects.toMatchObject({ code: 'data-loss' });
  // The coordinator's file has changed: it says so itself.
  writeFileSync(path.join(folder, '1.jpg'), 'changed');
  await expect(openFetchedSource(dataset, fetch, absenceMs).read('train', 1)).rejects.toMatchObject({
    code: 'failed-precondition',
    message: expect.stringContaining('1.jpg is not what it was'),
  });
});

it('fetches what is not in the folder, or is another file there, and reads the rest', async () => {
  const elsewhere = mkdtempSync(path.join(tmpdir(), 'rondo-elsewhere-'));
  try {
    writeFileSync(path.join(elsewhere, '0.jpg'), readFileSync(path.join(folder, '0.jpg')));
    writeFileSync(path.join(elsewhere, '1.jpg'), 'another image of this name');
    const warnings: string[] = [];
    const near = openSource({ ...dataset, root: elsewhere });
    const source = openFallbackSource(near, openFetchedSource(dataset, fetch, absenceMs), (text) =>
      warnings.push(text),
    );
    const read = await Promise.all([0, 1, 2].map((id) => source.read('train', id)));
    expect(read.map(({ length }) => length)).toEqual([10, 100, 1_000]);
    expect(calls.flat().toSorted()).toEqual([1, 2]);
    const missing = path.join(elsewhere, '2.jpg');
    // Which of the two is missed first is chance, but that it was here before nobody knows.
    expect(warnings).toEqual([expect.stringContaining('is fetched from the coordinator')]);
    expect(warnings[0]).not.toContain('gone');
    await source.close();

    const nothing = openFallbackSource(openSource({ ...dataset, root: elsewhere }), source, (text) =>
      warnings.push(text),
    );
    await expect(nothing.read('train', 2)).rejects.toMatchObject({ code: 'cancelled' });
    expect(warnings[1]).toMatch(`image ${missing} is not on this machine; what is not here`);
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});

it('asks again when the coordinator was away', async () => {
  let away = true;
  const source = openFetchedSource(
    dataset,
    async function* (split, ids, signal) {
      if (away) {
        away = false;
        const [first] = ids;
        yield* fetch(split, [first!], signal);
        throw new RondoError('unavailable', 'gone');
      }
      yield* fetch(split, ids, signal);
    },
    absenceMs,
  );
  expect(
    (await Promise.all([0, 1].map((id) => source.read('train', id)))).map(({ length }) => length),
  ).toEqual([10, 100]);
  // What had arrived is not asked for again.
  expect(calls).toEqual([[0], [1]]);
});

it('gives up when the coordinator is away for longer than it may be', async () => {
  const source = openFetchedSource(
    dataset,
    () => {
      throw new RondoError('unavailable', 'gone');
    },
    0,
  );
  await expect(source.read('train', 0)).rejects.toMatchObject({ code: 'unavailable', message: 'gone' });
});

it('asks again over the next connection when one was closed', async () => {
  const closed = openChannel(CoordinatorClient, server.address, {
    ...{ credentials: testCredentials, peer: 'anybody', maxReceiveBytes: 4 << 20 },
  });
  closed.close();
  let current = closed;
  const source = openFetchedSource(
    dataset,
    (split, ids) => {
      const call = () => current.fetchSamples({ valid: split === 'valid', ids: [...ids] });
      try {
        return call();
      } finally {
        current = client;
      }
    },
    absenceMs,
  );
  expect(await source.read('train', 1)).toHaveLength(100);
});

it.each([
  ['an id that is none', [4]],
  ['a negative id', [4_294_967_295]],
  ['too many', Array<number>(1_025).fill(0)],
])('refuses %s', async (_, ids) => {
  const call = client.fetchSamples({ valid: false, ids });
  const read = async () => {
    for await (const _chunk of call);
  };
  await expect(read()).rejects.toThrow(/INVALID_ARGUMENT/);
});

it('reads no file of this machine that the index names outside of its folder', async () => {
  const outside = { ...dataset, train: [{ ...dataset.train.at(0)!, path: '../../etc/passwd' }] };
  await expect(openSource(outside).read('train', 0)).rejects.toMatchObject({ code: 'permission-denied' });
});
