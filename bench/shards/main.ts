// `npm run bench -- shards`: images per second and processor time per image from packed images, of this machine, over
// HTTP and, with --s3, from a real S3 server, to presized pixels; time to the first batch, and to that after a resume
// amid an epoch; bytes that a server sends. With --peers beside WebDataset and Streaming, on the same images.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { indexImages } from '../../coordinator/dataset/dataset.js';
import { packImages } from '../../coordinator/pack/pack-images.js';
import { presizeFor } from '../../coordinator/run/run-config.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { openBucket } from '../../runtime/storage/bucket.js';
import { commonOptions, readArguments, toCount } from '../support/arguments.js';
import { describeEnvironment, formatEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { type LineProcess, openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { makePictures } from '../support/pictures.js';
import { publish } from '../support/publish.js';
import { python } from '../support/python.js';
import { startRangeServer } from '../support/range-server.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { startVersitygw } from '../support/versitygw.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { format, type Measured, summarize } from './report.js';
import { type Pass, passResultSchema } from './task.js';

const usage = 'Usage: npm run bench -- shards [--images 1024] [--rounds 3] [--s3] [--peers] [--json]';
const [size, batch, step, shardBytes] = [224, 16, 64, 4 << 20];
const presize = presizeFor(size);
/** Shards that Rondo mixes at a time where it fetches them whole, as the peers do. */
const windowShards = 4;
const workers = os.availableParallelism();
/** Of a pass: Streaming sometimes reads a shard that another of its processes has not finished. */
const tries = 3;

interface Kind {
  readonly name: string;
  readonly window: number;
  readonly open: (environment: NodeJS.ProcessEnv) => LineProcess;
}

/** Where the same files are read from. */
interface Place extends Pick<Pass, 'packed' | 'streaming'> {
  readonly name: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Bytes that it has sent; 0 where nothing is sent. */
  sent(): number;
  close(): void | Promise<void>;
}

await runMain(async (args) => {
  const options = {
    ...commonOptions,
    images: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '3' },
    s3: { type: 'boolean', default: false },
  } as const;
  const o = readArguments(usage, args, options, (values) => ({
    ...{ peers: values.peers, json: values.json, s3: values.s3 },
    ...{ images: toCount('images', values.images), rounds: toCount('rounds', values.rounds) },
  }));
  const peers = await findPeers(o.peers, ['torch', 'torchvision', 'PIL', 'webdataset', 'streaming']);
  const work = path.join(os.tmpdir(), `rondo-bench-shards-${o.images}`);
  const { tars, imageBytes } = await makeShards(work, o.images, peers !== null);
  const places = [openLocal(work), await openWeb(work), ...(o.s3 ? [await openS3(work)] : [])];
  const kinds = [
    { name: 'Rondo', window: 0, open: openRondo },
    { name: `Rondo, windows of ${windowShards} shards`, window: windowShards, open: openRondo },
    ...(peers === null ? [] : [openPeer('WebDataset', 'webdataset'), openPeer('Streaming', 'streaming')]),
  ];
  const cases = places.flatMap((place) =>
    [0, Math.floor(o.images / 2 / step) * step].flatMap((consumed) =>
      kinds
        .filter(({ window }) => window === 0 || place.name !== 'local')
        .map((kind) => ({ kind, place, consumed })),
    ),
  );
  try {
    const figures = await takeTurns(cases, o.rounds, ({ kind, place, consumed }) => {
      const { packed, streaming } = place;
      const { window } = kind;
      const pass = {
        ...{ packed, streaming, tars, window, images: o.images, imageBytes },
        ...{ size, presize, batch, step, workers, consumed },
      };
      return measure(kind, pass, place);
    });
    const results = cases.map(({ kind, place, consumed }, index) => {
      // What the others are compared with fetches shards whole where they do.
      const own = cases.findLastIndex(
        (each) => each.kind.open === openRondo && each.place === place && each.consumed === consumed,
      );
      return summarize(
        kind.name,
        place.name,
        consumed,
        figures[index]!,
        own === index ? null : figures[own]!,
      );
    });
    const report = {
      ...{ bench: 'shards', images: o.images, rounds: o.rounds, workers, presize, batch, step },
      ...{ environment: describeEnvironment(), versions: peers ?? {}, results },
    };
    publish(report, `${formatEnvironment(report.environment)}\n${format(results)}`, o.json);
  } finally {
    for (const place of places) await place.close();
  }
});

function openRondo(env: NodeJS.ProcessEnv): LineProcess {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  return openWorkerProcess(script, {}, { index: 0, threads: workers, gpus: [] }, { env });
}

function openPeer(name: string, kind: string): Kind {
  const inputs = [peerScript('shards', 'peer.py'), kind];
  return { name, window: 0, open: (env) => openLineProcess(python, inputs, env) };
}

function openLocal(work: string): Place {
  const [packed, streaming] = ['packed', 'streaming'].map((name) => path.join(work, name));
  return {
    ...{ name: 'local', packed: packed!, streaming: streaming!, environment: process.env },
    sent: () => 0,
    close() {},
  };
}

async function openWeb(work: string): Promise<Place> {
  const server = await startRangeServer(work);
  // Streaming speaks no plain HTTP; what it asks a bucket for, this server answers too.
  const bucket = {
    S3_ENDPOINT_URL: server.url,
    AWS_ACCESS_KEY_ID: 'anyone',
    AWS_SECRET_ACCESS_KEY: 'anything',
    AWS_REGION: 'us-east-1',
  };
  return {
    ...{ name: 'HTTP', packed: `${server.url}/packed`, streaming: 's3://streaming' },
    environment: { ...process.env, ...bucket },
    sent: () => server.sent,
    close: () => server.close(),
  };
}

async function openS3(work: string): Promise<Place> {
  const server = await startVersitygw('bench');
  const { AWS_REGION } = server.environment;
  const environment = { ...server.environment, AWS_DEFAULT_REGION: AWS_REGION, S3_ENDPOINT_URL: server.url };
  Object.assign(process.env, environment);
  for (const folder of ['packed', 'streaming']) {
    const bucket = openBucket(`s3://bench/${folder}`);
    for (const name of existsSync(path.join(work, folder)) ? readdirSync(path.join(work, folder)) : []) {
      const file = path.join(work, folder, name);
      const bytes = readFileSync(file);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      await bucket.put(name, { path: file, bytes: bytes.length, sha256 });
    }
  }
  return {
    ...{ name: 'S3', packed: 's3://bench/packed', streaming: 's3://bench/streaming' },
    environment: { ...process.env, ...environment },
    sent: () => server.written,
    close: () => server.close(),
  };
}

async function measure(kind: Kind, pass: Omit<Pass, 'cacheDir'>, place: Place): Promise<Measured> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await measureOnce(kind, pass, place);
    } catch (error) {
      if (kind.open === openRondo || left === 0) throw error;
      console.error(`${kind.name}, ${place.name}: ${(error as Error).message}; once more`);
    }
  }
}

/** In a process of its own with an empty cache: what an earlier pass left must not help. */
async function measureOnce(kind: Kind, pass: Omit<Pass, 'cacheDir'>, place: Place): Promise<Measured> {
  const cacheDir = await mkdtemp(path.join(os.tmpdir(), 'rondo-bench-shards-cache-'));
  const running = kind.open(place.environment);
  try {
    const before = place.sent();
    const result = await running.ask(passResultSchema, { ...pass, cacheDir });
    return { ...result, bytes: place.sent() - before };
  } finally {
    await running.close();
    await rm(cacheDir, { recursive: true, force: true });
  }
}

/** The pictures as Rondo's shards, which WebDataset reads too, and as Streaming's. */
async function makeShards(
  work: string,
  images: number,
  withPeers: boolean,
): Promise<Pick<Pass, 'tars' | 'imageBytes'>> {
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
  const imageBytes = drawn.reduce((sum, file) => sum + statSync(file).size, 0);
  return { tars: shards.map(({ name }) => name), imageBytes };
}
