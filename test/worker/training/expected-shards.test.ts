import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../../coordinator/dataset/dataset.js';
import { orderShards } from '../../../coordinator/dataset/order.js';
import { stepsPerEpoch } from '../../../plan/micro-batches.js';
import { planStep, samplesAt, shareOfStep, totalSteps } from '../../../plan/phases.js';
import { placePartitions } from '../../../plan/placement.js';
import type { RunConfig } from '../../../plan/run-config.js';
import type { Dataset } from '../../../proto/dataset.js';
import { openLoader } from '../../../worker/data/loader.js';
import { openSource } from '../../../worker/data/source.js';
import { evaluationRequests, nothingEvaluated } from '../../../worker/training/evaluate.js';
import { openTaskBatches } from '../../../worker/training/step-sequence.js';
import { type FileServer, startFileServer } from '../../support/file-server.js';
import { jpegBytes, makeFolder, writeFiles } from '../../support/images.js';
import { packFolder } from '../../support/packing.js';
import { runConfig } from '../../support/run-config.js';

// What ranks fetch from a web server, by the server's own count, where shards are fetched whole.

const { signal } = new AbortController();
/** 150 images, a fifth of them to validate, in shards of a few. */
const images = 150;
const home = mkdtempSync(path.join(tmpdir(), 'rondo-test-'));
afterAll(() => rmSync(home, { recursive: true }));
let packed: Record<string, Buffer>;
let dataset: Dataset;

beforeAll(async () => {
  const [data, out] = [path.join(home, 'photos'), path.join(home, 'packed')];
  const files = Array.from({ length: images }, async (_, index) => {
    return [`${['red', 'green'][index % 2]}/${index}.jpg`, await jpegBytes(index, 40, 30)] as const;
  });
  await writeFiles(data, Object.fromEntries(await Promise.all(files)));
  const { shards } = await packFolder(data, out, { shardBytes: 20 << 10 });
  packed = Object.fromEntries(shards.map(({ name }) => [`/${name}`, readFileSync(path.join(out, name))]));
  const opened = await openDataset({
    ...{ data: out, cacheDir: home, onProgress() {}, signal },
    ...{ validPct: 0.2, split: 'random', seed: 1, shuffleWindow: 4 },
  });
  dataset = opened.dataset;
});

/** 120 samples in steps of 24, 6 micro-batches each. */
const configOf = (window: number, epochs: number, changes: Partial<RunConfig> = {}) => {
  const phase = runConfig().phases[0]!;
  return runConfig({
    ...{ trainCount: dataset.train.length, validCount: dataset.valid.length, batchSize: 24, microBatch: 4 },
    ...{ phases: [{ ...phase, epochs }], order: orderShards(dataset, window), ...changes },
  });
};

interface Machine {
  readonly server: FileServer;
  readonly folder: string;
}

/** A machine with a cache of its own, and a server that only it reads. */
async function startMachine(): Promise<Machine> {
  return { server: await startFileServer(packed), folder: path.join(await makeFolder(), 'objects') };
}

/** Reads what a rank does of a run from a step on, in a process of its own as it were; each is on another machine. */
async function read(
  { server, folder }: Machine,
  config: RunConfig,
  rank: number,
  worldSize: number,
  startStep = 0,
) {
  const { url: root } = server;
  const hosts = Array.from({ length: worldSize }, (_, index) => `worker-${index}`);
  const partitions = placePartitions(config, hosts)![rank]!;
  const cache = { folder, maxBytes: 2 ** 30 };
  const loader = openLoader({
    ...{ dataset, config: { ...config, augment: 'none' }, cacheBytes: 0, diskCacheBytes: 0 },
    ...{ cacheDir: folder, source: openSource({ ...dataset, root }, { cache, wholeShards: true }) },
  });
  const evaluation = { startStep, startEvaluation: null, evaluated: nothingEvaluated() };
  const batches = openTaskBatches({
    ...{
      config,
      rank,
      worldSize,
      ...evaluation,
      startShare: null,
      partitions,
      epochEndDue: false,
      loader,
      signal,
    },
  });
  const ids: number[] = [];
  const take = async () => {
    const batch = await batches.take();
    batch.release();
    return batch.ids.slice();
  };
  for (let step = startStep; step < totalSteps(config); step += 1) {
    const plan = planStep(config, step);
    const own = [...samplesAt(plan, shareOfStep(plan, { rank, worldSize, partitions }))];
    const met: number[] = [];
    while (met.length < own.length) met.push(...(await take()));
    expect(met).toEqual(own);
    ids.push(...met);
    const requests = evaluationRequests(config, step + 1, { rank, worldSize, ...evaluation });
    if (plan.lastOfEpoch) for (const _ of requests) await take();
  }
  await batches.close();
  await loader.close();
  return ids;
}

/** Bytes that a server sent; an answer that was slow may have been asked for twice, and counts once. */
function countFetched({ requests }: FileServer) {
  const sent = new Map<string, number>();
  for (const { path: asked, range, sent: bytes } of requests) {
    const key = `${asked} ${range}`;
    sent.set(key, Math.max(sent.get(key) ?? 0, bytes));
  }
  const whole = [...sent.keys()].filter((key) => key.endsWith(' undefined')).map((key) => key.split(' ')[0]!);
  return {
    bytes: [...sent.values()].reduce((sum, bytes) => sum + bytes, 0),
    whole,
    again: requests.length - sent.size,
  };
}

const shardOf = (id: number) => dataset.train.at(id)!.range!.shard;
const nameOf = (shard: number) => `/${dataset.shards!.shards[shard]!.name}`;
const bytesOf = (ids: Iterable<number>) =>
  [...ids].reduce((sum, id) => sum + dataset.train.at(id)!.range!.bytes, 0);
const shardBytes = (shards: Iterable<number>) =>
  [...new Set(shards)].reduce((sum, shard) => sum + packed[nameOf(shard)]!.length, 0);

describe('machines that divide a run with windows of shards', () => {
  it('fetch each its part in the first epoch, and nothing in the second', async () => {
    const machines = [await startMachine(), await startMachine()];
    const one = configOf(6, 1, { validCount: 0 });
    const parts: Set<number>[] = [];
    for (const [rank, machine] of machines.entries()) {
      const ids = await read(machine, one, rank, 2);
      const shards = new Set(ids.map(shardOf));
      parts.push(shards);
      const { bytes, whole } = countFetched(machine.server);
      expect(whole.sort()).toEqual([...shards].map(nameOf).sort());
      expect(bytes).toBe(shardBytes(shards));
    }
    const all = dataset.shards!.shards.length;
    // Shards at the borders between partitions of one and of the other are in both parts.
    expect([...parts[0]!].filter((shard) => parts[1]!.has(shard)).length).toBeLessThanOrEqual(5);
    for (const shards of parts) expect(Math.abs(shards.size - all / 2)).toBeLessThanOrEqual(3.5);

    const before = machines.map(({ server }) => server.sent);
    const two = configOf(6, 3, { validCount: 0 });
    for (const [rank, machine] of machines.entries()) await read(machine, two, rank, 2, stepsPerEpoch(two));
    expect(machines.map(({ server }) => server.sent)).toEqual(before);
  });

  it('fetch nothing when a third one joins, which fetches its part', async () => {
    const machines = [await startMachine(), await startMachine(), await startMachine()];
    const one = configOf(6, 1, { validCount: 0 });
    for (const rank of [0, 1]) await read(machines[rank]!, one, rank, 2);
    const before = machines.map(({ server }) => server.sent);
    const two = configOf(6, 2, { validCount: 0 });
    const ids: number[][] = [];
    for (const [rank, machine] of machines.entries())
      ids.push(await read(machine, two, rank, 3, stepsPerEpoch(two)));
    expect(ids.flat().toSorted((a, b) => a - b)).toEqual([...Array(dataset.train.length).keys()]);
    const part = shardBytes(ids[2]!.map(shardOf));
    expect(machines.map(({ server }, rank) => server.sent - before[rank]!)).toEqual([0, 0, part]);
  });

  it('do so in one go too, with an evaluation after each epoch and a last step of another size', async () => {
    for (const batchSize of [24, 28, 44]) {
      const config = configOf(6, 3, { batchSize });
      for (const rank of [0, 1, 2]) {
        const machine = await startMachine();
        const shards = new Set((await read(machine, config, rank, 3)).map(shardOf));
        const { bytes, whole, again } = countFetched(machine.server);
        expect(whole.sort()).toEqual([...shards].map(nameOf).sort());
        const parts = bytes - shardBytes(shards);
        const valid = Array.from(dataset.valid, ({ range }) => range!.bytes).reduce(
          (sum, own) => sum + own,
          0,
        );
        expect(parts).toBeLessThan(0.5 * valid);
        expect(again).toBeLessThanOrEqual(2);
      }
    }
  });
});

describe('a run that is resumed amid a window on a machine with an empty cache', () => {
  it.each([
    ['one', 1],
    ['two', 2],
  ])('fetches exactly what it has not consumed, in a world of %s', async (_, worldSize) => {
    // One window an epoch.
    const config = configOf(1_000, 1, { validCount: 0 });
    for (let rank = 0; rank < worldSize; rank += 1) {
      const machine = await startMachine();
      const ids = await read(machine, config, rank, worldSize, 2);
      const { bytes, whole, again } = countFetched(machine.server);
      expect([bytes, whole]).toEqual([bytesOf(ids), []]);
      // As many slow answers as are asked for a second time.
      expect(again).toBeLessThan(2 + 0.05 * ids.length);
    }
  });

  it('fetches nothing twice in later epochs', async () => {
    const machine = await startMachine();
    await read(machine, configOf(1_000, 3, { validCount: 0 }), 0, 1, 2);
    const { bytes, whole } = countFetched(machine.server);
    expect([bytes, whole]).toEqual([bytesOf(Array(dataset.train.length).keys()), []]);
  });

  it('fetches the shards of later windows whole', async () => {
    const config = configOf(6, 1, { validCount: 0 });
    const consumed = Array.from({ length: 1 }, (_, step) => [...planStep(config, step).sampleIds]).flat();
    const machine = await startMachine();
    const left = await read(machine, config, 0, 1, 1);
    const begun = new Set(consumed.map(shardOf));
    const { bytes, whole } = countFetched(machine.server);
    const later = new Set(left.map(shardOf).filter((shard) => !begun.has(shard)));
    expect(later.size).toBeGreaterThan(6);
    expect(whole.sort()).toEqual([...later].map(nameOf).sort());
    expect(bytes).toBe(shardBytes(later) + bytesOf(left.filter((id) => begun.has(shardOf(id)))));
  });

  it('fetches whole what begins with the step that it is resumed at', async () => {
    const config = configOf(6, 2, { validCount: 0 });
    const machine = await startMachine();
    await read(machine, config, 0, 1, stepsPerEpoch(config));
    const { bytes } = countFetched(machine.server);
    expect(bytes).toBe(shardBytes(dataset.shards!.shards.keys()));
  });
});
