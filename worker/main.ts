#!/usr/bin/env -S node --initial-old-space-size=128
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { deadlinesOf, defaultSilenceMs } from '../plan/deadlines.js';
import { exitCodesHelp, RondoError } from '../runtime/errors.js';
import { tokenVariable } from '../runtime/grpc/credentials.js';
import { healthPages, serveHealth } from '../runtime/health.js';
import { parseHostPort } from '../runtime/host-port.js';
import { defaultDiskCacheGib, diskCacheGib, installation, version } from '../runtime/installation.js';
import { type Lifecycle, openLifecycle } from '../runtime/lifecycle.js';
import { log, openLog } from '../runtime/log.js';
import { writeLines } from '../runtime/printable.js';
import { endAtOnce, endInTime } from './end-process.js';
import { findJob } from './jobs/registry.js';
import { serveJob } from './jobs/serve-job.js';
import { type JoinFlags, readJoinProof } from './session/join-proof.js';
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
    'where other workers reach this one; port 0 takes a free port (default: a free port of the address by which it reaches the coordinator)',
    hostAndPort,
  )
  .option(
    '--advertise <HOST>',
    'the host that other workers are told, where they reach this one by another than it listens on (default: that, or the address by which it reaches the coordinator where it listens on all)',
  )
  .option(
    '--token <ID.SECRET>',
    'token that buys this worker a certificate, as the coordinator prints it: with --ca-hash',
  )
  .option(
    '--ca-hash <SHA256>',
    "hash of the key of the run's certificate authority, sha256:…: the token goes to nobody else; may be repeated",
    (value: string, before: string[] = []) => [...before, value],
  )
  .option('--ca-file <FILE>', "the certificate of the run's authority (PEM), in place of --ca-hash")
  .option(
    '--token-file <FILE>',
    `file that holds the token: with --ca-hash or --ca-file as --token, else as the coordinator names it on its own machine; or ${tokenVariable} in the environment`,
  )
  .option(
    '--insecure',
    'no encryption and no certificates, as the coordinator was started: whoever sees the traffic can read all, and take part',
  )
  .option(
    '--wait <SECONDS>',
    'how long to wait for a coordinator that does not answer yet',
    wholeNumber,
    deadlinesOf(defaultSilenceMs).connectMs / 1_000,
  )
  .option(
    '--health <HOST:PORT>',
    'serve /healthz, /readyz and /metrics (Prometheus) there, to anybody, without encryption: nothing in it is secret',
    hostAndPort,
  )
  .option(
    '--tls-ca <FILE>',
    "instead of a token: the authority that the coordinator's --tls-ca names, with --tls-cert and --tls-key",
  )
  .option(
    '--tls-cert <FILE>',
    "this worker's certificate of it, of a name NAME.workers.rondo.internal, which is its id; read again when it is renewed",
  )
  .option('--tls-key <FILE>', 'the key of that')
  .option(
    '--zone <NAME>',
    'where this machine is, such as its rack: machines of one zone stand beside each other in the ring; else RONDO_ZONE in the environment',
  )
  .option('--id <ID>', 'name of this worker, unique in its run', `${hostname()}-${process.pid}`)
  .option(
    '--data-root <DIR>',
    'where the images lie on this machine (default: by the same path as on the coordinator); what is not there, or is another file, is fetched from the coordinator, once',
  )
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
Whoever holds a token may take part in the run. On other machines than the coordinator's a worker gets a certificate for it, which
is its own, lasts a day and is renewed; the key is made here and never leaves this process.
${exitCodesHelp}

Examples:
  worker join --coordinator 10.0.0.1:7070 --token 3k9x2a.… --ca-hash sha256:…
      on another machine: the whole line is printed by the coordinator
  worker join --coordinator rondo:7070 --token-file /run/rondo/token --ca-file /run/rondo/ca.crt
      where both are files, as in a pod
  worker join --coordinator 127.0.0.1:7070 --token-file runs/pets/token --id guest
      on the coordinator's own machine

SIGTERM or Ctrl-C has it leave after the step under way; the others go on. It then ends with 130: with 0 only when the run is over.`,
  )
  .action(join);

program
  .command('job')
  .description(
    "do one of the coordinator's jobs: a JSON request on standard input, JSON lines on standard output",
  )
  .argument('<NAME>', 'what to do')
  .action(job);

interface Flags extends JoinFlags {
  listen?: string;
  advertise?: string;
  dataRoot?: string;
  zone?: string;
  wait: number;
  health?: string;
  id: string;
  cacheDir: string;
  cacheGib?: number;
  cacheMib: number;
}

async function join(flags: Flags): Promise<void> {
  const proof = readJoinProof(flags, process.env);
  const options: WorkerOptions = {
    coordinator: flags.coordinator,
    listen: flags.listen ?? null,
    advertise: flags.advertise ?? null,
    proof,
    workerId: proof.kind === 'own-certificate' ? proof.own.name : flags.id,
    waitMs: 1_000 * flags.wait,
    // In a pod: the node's. Empty where the cluster does not say.
    host: process.env.RONDO_HOST || undefined,
    zone: flags.zone ?? (process.env.RONDO_ZONE || undefined),
    dataRoot: flags.dataRoot === undefined ? null : resolve(flags.dataRoot),
    cacheDir: flags.cacheDir,
    cacheBytes: flags.cacheMib * bytesPerMiB,
    diskCacheBytes: (flags.cacheGib ?? diskCacheGib(process.env)) * 1024 * bytesPerMiB,
    onEnding: endInTime,
  };
  const lifecycle = openWorkerLifecycle();
  const health = flags.health === undefined ? null : await openHealth(flags.health, flags.id);
  try {
    await runWorker({ ...options, observer: health?.metrics }, lifecycle.signal);
  } finally {
    health?.server.close();
    lifecycle.close();
  }
}

/** Loaded where it is asked for alone: Prometheus' client measures Node from then on. */
async function openHealth(address: string, workerId: string) {
  const { openWorkerMetrics } = await import('./session/worker-metrics.js');
  const metrics = openWorkerMetrics(workerId);
  const { registry, waitsFor } = metrics;
  const server = await serveHealth(address, { metrics: registry, waitsFor });
  writeLines(process.stderr, [`worker: serves ${healthPages} at http://${server.address}`]);
  return { metrics, server };
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
