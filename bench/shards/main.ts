// `npm run bench -- shards`: images per second and processor time per image from packed images, of this machine and
// over HTTP, to presized pixels; time to the first batch, and to that after a resume amid an epoch; bytes that a
// server sends. With --peers beside WebDataset and Streaming, on the same images.
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { indexImages } from '../../coordinator/dataset/dataset.js';
import { packImages } from '../../coordinator/pack/pack-images.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { commonOptions, readArguments, toCount } from '../support/arguments.js';
import { describeEnvironment, formatEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { type LineProcess, openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { makePictures } from '../support/pictures.js';
import { publish } from '../support/publish.js';
import { python } from '../support/python.js';
import { quantilesOf } from '../support/quantiles.js';
import { type RangeServer, startRangeServer } from '../support/range-server.js';
import { runMain } from '../support/run-main.js';
import { formatTable } from '../support/table.js';
import { takeTurns } from '../support/take-turns.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { type Pass, type PassResult, passResultSchema } from './task.js';

const usage = 'Usage: npm run bench -- shards [--images 1024] [--rounds 3] [--peers] [--json]';
const [presize, batch, shardBytes] = [256, 16, 4 << 20];
const workers = os.availableParallelism();

interface Measured extends PassResult {
  readonly bytes: number;
}

interface Kind {
  readonly name: string;
  readonly open: (url: string) => LineProcess;
}

await runMain(async (args) => {
  const options = {
    ...commonOptions,
    images: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
  } as const;
  const o = readArguments(usage, args, options, (values) => ({
    ...{ peers: values.peers, json: values.json },
    ...{ images: toCount('images', values.images), rounds: toCount('rounds', values.rounds) },
  }));
  const peers = await findPeers(o.peers, ['torch', 'torchvision', 'PIL', 'webdataset', 'streaming']);
  const work = path.join(os.tmpdir(), `rondo-bench-shards-${o.images}`);
  const tars = await makeShards(work, o.images, peers !== null);
  const server = await startRangeServer(work);
  const kinds = [
    { name: 'Rondo', open: openRondo },
    ...(peers === null ? [] : [openPeer('WebDataset', 'webdataset'), openPeer('Streaming', 'streaming')]),
  ];
  const cases = kinds.flatMap((kind) =>
    (['local', 'http'] as const).flatMap((from) =>
      [0, Math.floor(o.images / 2 / batch) * batch].map((consumed) => ({ kind, from, consumed })),
    ),
  );
  try {
    const figures = await takeTurns(cases, o.rounds, ({ kind, from, consumed }) => {
      const root = from === 'local' ? work : server.url;
      // Streaming speaks no plain HTTP; what it asks a bucket for, this server answers too.
      const streaming = from === 'local' ? path.join(work, 'streaming') : 's3://streaming';
      const places = { packed: `${root}/packed`, streaming };
      return measure(
        kind,
        { ...places, tars, ...{ images: o.images, presize, batch, workers, consumed } },
        server,
      );
    });
    const results = cases.map(({ kind, from, consumed }, index) =>
      summarize(kind.name, from, consumed, figures[index]!),
    );
    const report = {
      ...{ bench: 'shards', images: o.images, rounds: o.rounds, workers, presize },
      ...{ environment: describeEnvironment(), versions: peers ?? {}, results },
    };
    publish(report, `${formatEnvironment(report.environment)}\n${format(results)}`, o.json);
  } finally {
    await server.close();
  }
});

function openRondo(): LineProcess {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  return openWorkerProcess(script, {}, { index: 0, threads: workers, gpus: [] });
}

function openPeer(name: string, kind: string): Kind {
  const inputs = [peerScript('shards', 'peer.py'), kind];
  const credentials = {
    AWS_ACCESS_KEY_ID: 'anyone',
    AWS_SECRET_ACCESS_KEY: 'anything',
    AWS_REGION: 'us-east-1',
  };
  return {
    name,
    open: (url) => openLineProcess(python, inputs, { ...process.env, ...credentials, S3_ENDPOINT_URL: url }),
  };
}

/** In a process of its own with an empty cache: what an earlier pass left must not help. */
async function measure(kind: Kind, pass: Omit<Pass, 'cacheDir'>, server: RangeServer): Promise<Measured> {
  const cacheDir = await mkdtemp(path.join(os.tmpdir(), 'rondo-bench-shards-cache-'));
  const running = kind.open(server.url);
  try {
    const before = server.sent;
    const result = await running.ask(passResultSchema, { ...pass, cacheDir });
    return { ...result, bytes: server.sent - before };
  } finally {
    await running.close();
    await rm(cacheDir, { recursive: true, force: true });
  }
}

/** The pictures as Rondo's shards, which WebDataset reads too, and as Streaming's. Resolves to the tars' names. */
async function makeShards(work: string, images: number, withPeers: boolean): Promise<readonly string[]> {
  const folder = path.join(work, 'pictures');
  // No two alike: what is fetched is kept by its digest.
  const drawn = await makePictures(path.join(work, 'drawn'), images);
  for (const [index, file] of drawn.entries()) {
    const link = path.join(folder, index % 2 === 0 ? 'a' : 'b', path.basename(file));
    makeFolder(path.dirname(link));
    if (!existsSync(link)) linkSync(file, link);
  }
  const signal = new AbortController().signal;
  const cacheDir = path.join(work, 'cache');
  const indexed = await indexImages({ data: folder, cacheDir, onProgress() {}, signal });
  const { shards } = await packImages({
    ...{ images: indexed, out: path.join(work, 'packed'), order: 'shuffled', seed: 42, keys: 'path' },
    ...{ shardBytes, resize: null, quality: null, onProgress() {}, signal },
  });
  const streaming = path.join(work, 'streaming');
  if (withPeers && !existsSync(path.join(streaming, 'index.json'))) {
    rmSync(streaming, { recursive: true, force: true });
    makeFolder(streaming);
    const inputs = ['write', path.join(work, 'packed'), streaming, String(shardBytes)];
    execFileSync(python, [peerScript('shards', 'peer.py'), ...inputs], { stdio: ['ignore', 2, 2] });
  }
  return shards.map(({ name }) => name);
}

function summarize(name: string, from: string, consumed: number, rounds: readonly Measured[]) {
  const middle = (figure: (measured: Measured) => number) => quantilesOf(rounds.map(figure)).median;
  return {
    ...{ name, from, consumed, images: rounds[0]!.images },
    imagesPerSecond: middle(({ images, seconds }) => images / seconds),
    cpuMs: middle(({ images, cpuSeconds }) => (1_000 * cpuSeconds) / images),
    firstBatchSeconds: middle(({ firstBatchSeconds }) => firstBatchSeconds),
    megabytes: middle(({ bytes }) => bytes / 1e6),
  };
}

function format(results: readonly ReturnType<typeof summarize>[]): string {
  const head = ['', 'images', 'images/s', 'CPU ms/image', 'first batch s', 'MB sent'];
  const rows = results.map((result) => [
    `${result.name}, ${result.from}${result.consumed > 0 ? ', resumed' : ''}`,
    String(result.images),
    result.imagesPerSecond.toFixed(0),
    result.cpuMs.toFixed(2),
    result.firstBatchSeconds.toFixed(2),
    result.from === 'local' ? '-' : result.megabytes.toFixed(1),
  ]);
  return formatTable(head, rows);
}
