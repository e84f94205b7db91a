// `npm run bench -- loader`: images per second from a folder of JPEG files to presized pixels in micro-batches, in the first epoch
// and in later ones, and with --peers beside PIL and torchvision with as many processes as the loader has threads.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import { decoderVersion } from '../../runtime/images.js';
import type { LoaderFigures, MeasureRequest } from './measure.js';
import { makePictures } from './pictures.js';
import { formatReport, type LoaderReport, type PeerFigures } from './report.js';

const usage =
  'Usage: npm run bench -- loader [--images 512] [--presize 256] [--micro-batch 16] [--threads N] [--rounds 5] [--peers] [--json]';

const run = promisify(execFile);

try {
  await main(process.argv.slice(2));
} catch (thrown) {
  const { message, remedy, exitCode } = RondoError.from(thrown);
  console.error(remedy === undefined ? message : `${message}\n${remedy}`);
  process.exitCode = exitCode;
}

async function main(args: readonly string[]): Promise<void> {
  const o = parseArguments(args);
  const folder = path.join(os.tmpdir(), 'rondo-bench-pictures');
  const request: MeasureRequest = {
    files: await makePictures(folder, o.images),
    presize: o.presize,
    microBatch: o.microBatch,
    rounds: o.rounds,
  };
  const figures = await measureLoader(request, o.threads);
  const peer = o.peers ? await measurePeer(request, o.threads) : null;
  const report: LoaderReport = {
    bench: 'loader',
    images: o.images,
    presize: o.presize,
    microBatch: o.microBatch,
    threads: o.threads,
    machine: `${os.cpus()[0]?.model ?? 'unknown processor'}, ${os.availableParallelism()} cores`,
    versions: { node: process.version, decoder: decoderVersion, ...peer?.versions },
    figures,
    peer: peer?.everyEpoch ?? null,
  };
  if (!o.json) console.log(`${formatReport(report)}\n`);
  console.log(JSON.stringify(report));
}

/** In a process of its own: the thread pool's size is fixed when a process starts. */
async function measureLoader(request: MeasureRequest, threads: number): Promise<LoaderFigures> {
  const script = fileURLToPath(new URL('measure.js', import.meta.url));
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(threads) };
  const { stdout } = await run(process.execPath, [script, JSON.stringify(request)], { env });
  return JSON.parse(stdout);
}

/** PIL's and torchvision's figures, or null, with a sentence on standard error, where Python cannot import them. */
async function measurePeer(request: MeasureRequest, processes: number): Promise<PeerFigures | null> {
  const python = process.env.RONDO_BENCH_PYTHON ?? 'python3';
  try {
    await run(python, ['-c', 'import torch, torchvision, PIL']);
  } catch {
    console.error(
      `no peer: ${python} cannot import torch, torchvision and PIL (RONDO_BENCH_PYTHON names another)`,
    );
    return null;
  }
  const { stdout } = await run(python, [peerScript(), JSON.stringify({ ...request, processes })]);
  return JSON.parse(stdout);
}

/** The compiler copies no Python, so from dist/ the script lies in the source folder. */
function peerScript(): string {
  const places = ['peer.py', '../../../bench/loader/peer.py'];
  const files = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return files.find((file) => existsSync(file)) ?? files[0]!;
}

function parseArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        images: { type: 'string', default: '512' },
        presize: { type: 'string', default: '256' },
        'micro-batch': { type: 'string', default: '16' },
        threads: { type: 'string', default: String(os.availableParallelism()) },
        rounds: { type: 'string', default: '5' },
        peers: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const { peers, json } = values;
    const count = (name: 'images' | 'presize' | 'micro-batch' | 'threads' | 'rounds'): number => {
      const value = Number(values[name]);
      if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive integer.`);
      return value;
    };
    return {
      images: count('images'),
      presize: count('presize'),
      microBatch: count('micro-batch'),
      threads: count('threads'),
      rounds: count('rounds'),
      peers,
      json,
    };
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}
