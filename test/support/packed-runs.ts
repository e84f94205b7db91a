import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startVersitygw, type Versitygw, whyWithoutVersitygw } from '../../bench/support/versitygw.js';
import { openDataset } from '../../coordinator/dataset/dataset.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { killCoordinators, runCoordinator } from './coordinator-process.js';
import { startFileServer } from './file-server.js';
import { hasGo } from './go-programs.js';
import { type HttpRelay, startHttpRelay } from './http-relay.js';
import { packFolder } from './packing.js';
import { openQuickRuns } from './quick-run.js';
import { readCommittedSteps, readSummaryFile } from './run-files.js';
import { drawTinyFolder } from './tiny-folder.js';
import { killWorkers } from './worker-process.js';

const never = new AbortController().signal;

/** A test that needs a bucket and servers which are built with Go. */
export const withServers = it.skipIf(whyWithoutVersitygw || !(await hasGo()));

/** Drawn images that are packed into a folder and into a bucket, and runs on them, for the tests of a file. */
export interface PackedRuns {
  readonly runs: ReturnType<typeof openQuickRuns>;
  /** The folder of the images, and that of their shards. */
  readonly data: string;
  readonly packed: string;
  readonly gateway: Versitygw;
  /** What stands between runs and the gateway, where the shards are s3://photos/packed. */
  readonly bucket: HttpRelay;
  /** Of the processes of a run, whose cache is its own. */
  environmentOf(name: string): Record<string, string>;
  recipe(name: string, from: string, workers: number, ...more: string[]): string[];
  train(name: string, from: string, workers: number, ...more: string[]): Promise<void>;
  digestOf(name: string): string | null;
  /** The ids of each step that the run kept. */
  samplesOf(name: string): [step: number, ids: number[]][];
  /** Of the images, those that training has left, and those to validate on. */
  leftOf(consumed: ReadonlySet<number>, shuffleWindow?: number): Promise<readonly Sample[]>;
  /** Serves the shards' folder. */
  serve(): ReturnType<typeof startFileServer>;
  /** That of the shards a server has sent these samples, each by itself, to the byte, and else the index. */
  expectFetched(server: Pick<HttpRelay, 'requests'>, needed: readonly Sample[]): void;
}

/** @param perClass images of each of three classes. */
export function openPackedRuns(perClass: number): PackedRuns {
  const runs = openQuickRuns();
  const packed = path.join(runs.root, 'packed');
  let data: string;
  let gateway: Versitygw;
  let bucket: HttpRelay;

  beforeAll(async () => {
    if (whyWithoutVersitygw) return;
    data = await drawTinyFolder(perClass);
    await packFolder(data, packed);
    gateway = await startVersitygw('photos');
    bucket = await startHttpRelay(gateway.url);
    const into = ['pack', data, '--out', 's3://photos/packed', '--shard-size', '64KiB'];
    const { code, stderr } = await runCoordinator(into, environmentOf('pack'));
    expect(code, stderr).toBe(0);
  });
  afterEach(() => {
    killCoordinators();
    killWorkers();
  });
  afterAll(async () => {
    await bucket?.close();
    gateway?.close();
    runs.remove();
    if (data) rmSync(data, { recursive: true, force: true });
  });

  const environmentOf = (name: string) => ({
    ...gateway.environment,
    AWS_ENDPOINT_URL: bucket.url,
    RONDO_CACHE: path.join(runs.root, `cache-${name}`),
  });
  const recipe = (name: string, from: string, workers: number, ...more: string[]) =>
    runs.start(name, from, '--epochs', '2', '--threads', '1', '--workers', String(workers), ...more);

  return {
    ...{ runs, packed, environmentOf, recipe },
    get data() {
      return data;
    },
    get gateway() {
      return gateway;
    },
    get bucket() {
      return bucket;
    },
    async train(name, from, workers, ...more) {
      const command = recipe(name, from, workers, ...more);
      const { code, stderr } = await runCoordinator(command, environmentOf(name));
      expect(code, stderr).toBe(0);
    },
    digestOf: (name) => readSummaryFile(runs.run(name)).parameterDigest,
    samplesOf(name) {
      const steps = readCommittedSteps(runs.run(name));
      const bySteps = new Map(steps.map(({ step, shares }) => [step, shares.flat()]));
      return [...bySteps].sort(([a], [b]) => a - b);
    },
    async leftOf(consumed, shuffleWindow = 0) {
      const { dataset } = await openDataset({
        ...{ data: packed, cacheDir: path.join(runs.root, 'index'), onProgress() {}, signal: never },
        ...{ validPct: 0.2, split: 'auto', seed: 42, shuffleWindow },
      });
      expect(consumed.size).toBeGreaterThan(0);
      expect(consumed.size).toBeLessThan(dataset.train.length);
      return [...Array.from(dataset.train).filter((_, id) => !consumed.has(id)), ...dataset.valid];
    },
    serve() {
      const names = readdirSync(packed).filter((name) => !name.startsWith('.'));
      return startFileServer(
        Object.fromEntries(names.map((name) => [`/${name}`, readFileSync(path.join(packed, name))])),
      );
    },
    expectFetched({ requests }, needed) {
      const asked = requests.filter(({ path: file, method }) => file.endsWith('.tar') && method === 'GET');
      const sent = new Map(asked.map(({ path: file, range, sent: bytes }) => [`${file} ${range}`, bytes]));
      expect(sum(sent.values())).toBe(sum(needed.map(({ range }) => range!.bytes)));
      expect(sent.size).toBe(needed.length);
      // Each once, but for answers so slow that they were asked for twice.
      expect(asked.length - sent.size).toBeLessThanOrEqual(2 + 0.05 * sent.size);
      const rest = requests.filter(({ path: file }) => !file.endsWith('.tar'));
      const index = readFileSync(path.join(packed, 'index.rondo')).length;
      expect(sum(rest.map(({ sent: bytes }) => bytes))).toBe(index);
    },
  };
}

function sum(bytes: Iterable<number>): number {
  return [...bytes].reduce((total, each) => total + each, 0);
}
