// `npm run bench -- volume`: what many images cost. Draws 200,000 small ones, packs them, and reads them as two workers
// do, from this machine and over HTTP, each first with empty caches and then again, taking turns at each eighth of an
// epoch; then trains on them for a while over HTTP. Prints rates, and the memory of every process over time.
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { indexImages } from '../../coordinator/dataset/dataset.js';
import { packImages } from '../../coordinator/pack/pack-images.js';
import { presizeFor } from '../../coordinator/run/run-config.js';
import { largest, smallest } from '../../runtime/extremes.js';
import { readArguments, toCount } from '../support/arguments.js';
import { runCoordinator } from '../support/coordinator-run.js';
import { describeEnvironment } from '../support/environment.js';
import type { LineProcess } from '../support/line-process.js';
import { descendantsOf } from '../support/processes.js';
import { publish } from '../support/publish.js';
import { startRangeServer } from '../support/range-server.js';
import { type MemorySample, watchMemory } from '../support/resident-memory.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { drawSmallPictures } from './pictures.js';
import { type Figures, formatReport, type PassFigures, type VolumeReport, type Watched } from './report.js';
import { type Pass, type Place, type Share, shareSchema } from './task.js';

const usage =
  'Usage: npm run bench -- volume [--images 200000] [--workers 2] [--rounds 3] [--train-seconds 120 (0: none)] [--json]';
/** Sides in pixels of what the network sees, and of the pictures. */
const [size, side] = [64, 80];
const [batch, shardBytes] = [64, 32 << 20];
const presize = presizeFor(size);
/** Of a warm epoch: what differs by less than the machine's load shows in many short turns. */
const warmPieces = 8;

/** Workers' loaders that share an epoch and a cache. */
interface Reader {
  readonly name: string;
  readonly workers: readonly LineProcess[];
  readonly cacheDir: string;
}

await runMain(async (args) => {
  const options = {
    images: { type: 'string', default: '200000' },
    workers: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    'train-seconds': { type: 'string', default: '120' },
    json: { type: 'boolean', default: false },
  } as const;
  const o = readArguments(usage, args, options, (values) => ({
    ...{ images: toCount('images', values.images), workers: toCount('workers', values.workers) },
    ...{ rounds: toCount('rounds', values.rounds), json: values.json },
    trainSeconds: values['train-seconds'] === '0' ? 0 : toCount('train-seconds', values['train-seconds']),
  }));
  const work = path.join(os.tmpdir(), `rondo-bench-volume-${o.images}`);
  await makePack(work, o.images);
  const server = await startRangeServer(work);
  const caches = await mkdtemp(path.join(os.tmpdir(), 'rondo-bench-volume-cache-'));
  const readers = [
    openReader('HTTP', `${server.url}/packed`, path.join(caches, 'http'), o.workers),
    openReader('local', path.join(work, 'packed'), path.join(caches, 'local'), o.workers),
  ];
  const names = readers.flatMap(({ name, workers }) =>
    workers.map(({ pid }, rank) => [`${name}, worker ${rank}`, pid] as const),
  );
  const memory = watchMemory(() => Object.fromEntries(names));
  try {
    const passes: PassFigures[] = [];
    const measure = async (reader: Reader, pass: Pass): Promise<Figures> => {
      const before = server.sent;
      const shares = await Promise.all(reader.workers.map((worker) => worker.ask(shareSchema, pass)));
      return { ...figuresOf(shares), megabytesSent: (server.sent - before) / 1e6 };
    };
    for (const reader of readers) {
      say(`${reader.name}, cold`);
      memory.take();
      const turns = [await measure(reader, { epoch: 0, piece: 0, pieces: 1 })];
      passes.push({ name: reader.name, epoch: 0, turns, memory: memory.take() });
    }
    for (let epoch = 1; epoch <= o.rounds; epoch += 1) {
      say(`warm, epoch ${epoch}`);
      memory.take();
      const turns = await takeTurns(readers, warmPieces, (reader, piece) =>
        measure(reader, { epoch, piece, pieces: warmPieces }),
      );
      const samples = memory.take();
      for (const [index, { name }] of readers.entries()) {
        passes.push({ name, epoch, turns: turns[index]!, memory: samples });
      }
    }
    await Promise.all(readers.flatMap(({ workers }) => workers.map((worker) => worker.close())));
    const trained =
      o.trainSeconds === 0
        ? null
        : await train(`${server.url}/packed`, readers[0]!.cacheDir, o.workers, o.trainSeconds);
    const report: VolumeReport = {
      ...{ bench: 'volume', images: o.images, workers: o.workers, size, presize, side },
      ...{ environment: describeEnvironment(), passes, trained },
    };
    publish(report, formatReport(report), o.json);
  } finally {
    memory.close();
    await Promise.all(readers.flatMap(({ workers }) => workers.map((worker) => worker.close())));
    await server.close();
    await rm(caches, { recursive: true, force: true });
  }
});

function say(text: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
}

async function makePack(work: string, count: number): Promise<void> {
  const folder = path.join(work, 'pictures');
  const tell = (what: string) => {
    let told = 0;
    return (done: number) => {
      if (done < told) return;
      told = done + count / 10;
      say(`${what} ${done} of ${count}`);
    };
  };
  await drawSmallPictures(folder, count, side, tell('drawn'));
  const signal = new AbortController().signal;
  const checked = tell('checked');
  const images = await indexImages({
    ...{ data: folder, cacheDir: path.join(work, 'cache'), signal },
    onProgress: ({ phase, done }) => {
      if (phase === 'verifying') checked(done);
    },
  });
  await packImages({
    ...{ images, out: path.join(work, 'packed'), order: 'shuffled', seed: 42, keys: 'number' },
    ...{ shardBytes, resize: null, quality: null, onProgress: tell('packed'), signal },
  });
}

function openReader(name: string, packed: string, cacheDir: string, count: number): Reader {
  const script = fileURLToPath(new URL('worker-process.js', import.meta.url));
  const workers = Array.from({ length: count }, (_, rank) => {
    const place: Place = { packed, cacheDir, presize, size, batch, rank, workers: count };
    return openWorkerProcess(script, place, { index: rank, threads: 1, gpus: [] });
  });
  return { name, workers, cacheDir };
}

function figuresOf(shares: readonly Share[]) {
  const seconds = largest(shares.map(({ ended }) => ended)) - smallest(shares.map(({ started }) => started));
  const images = shares.reduce((sum, share) => sum + share.images, 0);
  const cpuSeconds = shares.reduce((sum, share) => sum + share.cpuSeconds, 0);
  return { images, seconds, cpuSeconds };
}

/** A run over HTTP, with the caches that are there, until so many seconds have passed since its first step. */
async function train(data: string, cacheDir: string, workers: number, seconds: number): Promise<Watched> {
  say(`training for ${seconds} s`);
  process.env.RONDO_CACHE = cacheDir;
  const recipe = [
    '--arch',
    'resnet18',
    '--size',
    String(size),
    '--batch-size',
    '64',
    '--workers',
    String(workers),
  ];
  const options = ['--data', data, ...recipe, '--threads', '1', '--epochs', '1'];
  return runCoordinator(options, { coldCache: false }, async (run) => {
    const memory = watchMemory(() => {
      const children = descendantsOf(run.pid).filter(({ command }) => command.includes('worker/main'));
      const named = children.map(({ pid }, rank) => [`training, worker ${rank}`, pid] as const);
      return { 'training, coordinator': run.pid, ...Object.fromEntries(named) };
    });
    let [began, images, last] = [0, 0, 0];
    try {
      for await (const { event, seconds: at } of run.events()) {
        if (event.kind !== 'step') continue;
        if (began === 0) {
          began = at;
          memory.take();
          continue;
        }
        images += Number(event.samples);
        last = at;
        if (at - began > seconds) run.interrupt();
      }
      const samples: MemorySample[] = memory.take();
      return { images, seconds: last - began, imagesPerSecond: images / (last - began), memory: samples };
    } finally {
      memory.close();
    }
  });
}
