// `npm run bench -- loader`: images per second from a folder of JPEG files to presized pixels in micro-batches, in the first epoch
// and in later ones, and with --peers beside PIL and torchvision with as many processes as the loader has threads.
import { execFile } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { RondoError } from '../../runtime/errors.js';
import { decoderVersion } from '../../runtime/images.js';
import { describeEnvironment } from '../support/environment.js';
import { findPythonModules, python, pythonScript } from '../support/python.js';
import { runMain } from '../support/run-main.js';
import type { LoaderFigures, MeasureRequest } from './measure.js';
import { makePictures } from './pictures.js';
import { formatReport, type LoaderReport } from './report.js';

const usage =
  'Usage: npm run bench -- loader [--images 512] [--presize 256] [--micro-batch 16] [--threads N] [--rounds 5] [--peers] [--json]';

const run = promisify(execFile);

await runMain(main);

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
  const peerVersions = o.peers ? await findPythonModules(['torch', 'torchvision', 'PIL']) : null;
  if (o.peers && peerVersions === null) {
    console.error(
      `no peer: ${python} cannot import torch, torchvision and PIL (RONDO_BENCH_PYTHON names another)`,
    );
  }
  const report: LoaderReport = {
    bench: 'loader',
    environment: describeEnvironment(),
    versions: { decoder: decoderVersion, ...peerVersions },
    images: o.images,
    presize: o.presize,
    microBatch: o.microBatch,
    threads: o.threads,
    figures,
    peer: peerVersions === null ? null : await measurePeer(request, o.threads),
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

/** PIL's and torchvision's images per second, one figure per round; they decode anew in every epoch. */
async function measurePeer(request: MeasureRequest, processes: number): Promise<number[]> {
  const script = pythonScript('loader', 'peer.py');
  const { stdout } = await run(python, [script, JSON.stringify({ ...request, processes })]);
  return JSON.parse(stdout);
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
