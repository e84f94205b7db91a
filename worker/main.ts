#!/usr/bin/env -S node --initial-old-space-size=128
import { hostname } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { deadlinesOf, defaultSilenceMs } from '../plan/deadlines.js';
import { exitCodesHelp, RondoError } from '../runtime/errors.js';
import { tokenVariable } from '../runtime/grpc/credentials.js';
import { parseHostPort } from '../runtime/host-port.js';
import { defaultDiskCacheGib, diskCacheGib, installation, version } from '../runtime/installation.js';
import { type Lifecycle, openLifecycle } from '../runtime/lifecycle.js';
import { log, openLog } from '../runtime/log.js';
import { writeLines } from '../runtime/printable.js';
import { endAtOnce, endInTime } from './end-process.js';
import { findJob } from './jobs/registry.js';
import { serveJob } from './jobs/serve-job.js';
import { readToken } from './session/read-token.js';
import { runWorker, type WorkerOptions } from './session/worker.js';

const bytesPerMiB = 1 << 20;

// Its log may be on a disk that is full: that is no reason to end.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

const program = new Command('worker')
  .description(
    'Computes one rank of a Rondo run. The coordinator starts local workers by itself; start one by hand to join from elsewhere.',
  )
  .version(version);

program
  .command('join')
  .description('join the run of a coordinator, and compute until it ends')
  .requiredOption('--coordinator <HOST:PORT>', 'where the coordinator listens', hostAndPort)
  .option(
    '--listen <HOST:PORT>',
    'where other workers reach this one; port 0 takes a free port',
    hostAndPort,
    '127.0.0.1:0',
  )
  .option(
    '--token-file <FILE>',
    `file that holds the run's token, as the coordinator names it; else ${tokenVariable} in the environment`,
  )
  .option('--id <ID>', 'name of this worker, unique in its run', `${hostname()}-${process.pid}`)
  .option(
    '--cache-dir <DIR>',
    'folder that keeps decoded images (pixels) and what was fetched from URLs (objects), for all workers of this machine and later runs',
    installation().cacheDir,
  )
  .option(
    '--cache-gib <N>',
    'disk for decoded images, in GiB, of all data sets together: those used longest ago are removed; as much again for what is fetched from URLs; 0 keeps none ' +
      `(default: RONDO_CACHE_GIB, else ${defaultDiskCacheGib})`,
    wholeNumber,
  )
  .option('--cache-mib <N>', 'memory for decoded images, in MiB', wholeNumber, 1024)
  .addHelpText(
    'after',
    `
RONDO_LOG=info logs what happens, one JSON object a line, on standard error; debug adds every step, trace heartbeats.
The run says how many threads compute. The GPU, the kernels and the threads that read images are chosen by the environment:
CUDA_VISIBLE_DEVICES, TF_ENABLE_ONEDNN_OPTS (1 unless set), UV_THREADPOOL_SIZE. The cache folder is RONDO_CACHE, else rondo in XDG_CACHE_HOME or ~/.cache.
Whoever holds the run's token may take part in the run: keep it off command lines.
${exitCodesHelp}

Example:
  worker join --coordinator 127.0.0.1:7070 --token-file runs/pets/token --id worker-4`,
  )
  .action(join);

program
  .command('job')
  .description(
    "do one of the coordinator's jobs: a JSON request on standard input, JSON lines on standard output",
  )
  .argument('<NAME>', 'what to do')
  .action(job);

interface JoinFlags {
  coordinator: string;
  listen: string;
  tokenFile?: string;
  id: string;
  cacheDir: string;
  cacheGib?: number;
  cacheMib: number;
}

async function join(flags: JoinFlags): Promise<void> {
  const options: WorkerOptions = {
    coordinator: flags.coordinator,
    listen: flags.listen,
    token: readToken(flags.tokenFile, process.env),
    workerId: flags.id,
    cacheDir: flags.cacheDir,
    cacheBytes: flags.cacheMib * bytesPerMiB,
    diskCacheBytes: (flags.cacheGib ?? diskCacheGib(process.env)) * 1024 * bytesPerMiB,
    onEnding: endInTime,
  };
  const lifecycle = openWorkerLifecycle();
  try {
    await runWorker(options, lifecycle.signal);
  } finally {
    lifecycle.close();
  }
}

async function job(name: string): Promise<void> {
  // Nobody reads the result any more.
  process.stdout.on('error', endAtOnce);
  const lifecycle = openWorkerLifecycle();
  lifecycle.signal.addEventListener('abort', () => endInTime(deadlinesOf(defaultSilenceMs).endMs));
  try {
    const streams = { input: process.stdin, output: process.stdout };
    await serveJob(() => findJob(name), streams, lifecycle.signal);
  } finally {
    lifecycle.close();
  }
}

/** A second signal ends the process at once, whatever its threads do. */
function openWorkerLifecycle(): Lifecycle {
  return openLifecycle({
    source: {
      on: (name, listener) => process.on(name, listener),
      removeListener: (name, listener) => process.removeListener(name, listener),
      exit: endAtOnce,
    },
  });
}

function hostAndPort(value: string): string {
  parseHostPort(value);
  return value;
}

function wholeNumber(value: string): number {
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError('expected a whole number');
  return Number(value);
}

try {
  openLog({ program: 'worker' });
  await program.parseAsync();
  process.exit(0);
} catch (thrown) {
  const error = RondoError.from(thrown);
  log('error', 'ended', { ...error.toPlain() });
  writeLines(process.stderr, [`worker: ${error.message}`, ...(error.remedy ? [`  ${error.remedy}`] : [])]);
  process.exit(error.exitCode);
}
