import { cutMicroBatches } from '../../plan/micro-batches.js';
import type { CertificateFiles } from '../../runtime/grpc/certificate-files.js';
import { diskCacheGib } from '../../runtime/installation.js';
import { dashed, refused } from './option.js';
import { defaults } from './run-options.js';
import { type ParsedStart, parseStart, type RawStart, type TrainingOptions } from './start-schema.js';
import { givenTraining, resolveTraining } from './training-options.js';

/** How many workers take part. */
export interface WorkerCounts {
  /** That the run begins with. */
  readonly workers: number;
  /** Workers launched on this machine; the others join from elsewhere. */
  readonly localWorkers: number;
  /** With fewer the run waits. */
  readonly minWorkers: number;
  /** Further ones are refused. */
  readonly maxWorkers: number;
}

/** When states are saved beside those at the ends of epochs, and how many are kept. */
export interface CheckpointOptions {
  /** After every so many steps; null for never. */
  readonly everySteps: number | null;
  /** When so long has passed since the last; null for never. */
  readonly everyMs: number | null;
  /** So many of the newest. */
  readonly keep: number;
}

/** Where and how a run is computed; may differ each time that it is resumed. */
export interface RuntimeOptions extends WorkerCounts {
  /** A worker silent for so long is lost, and every other wait of the cluster follows. */
  readonly silenceMs: number;
  readonly checkpoints: CheckpointOptions;
  /** Disk for decoded images, in GiB. */
  readonly cacheGib: number;
  readonly nats: string | null;
  /** Of the run's own NATS server; null for a free one. */
  readonly natsPort: number | null;
  readonly listen: string;
  /** Where others reach what listens there; null when that is the same. */
  readonly advertise: string | null;
  /** Holds the token that others join with; null where one is made. */
  readonly joinTokenFile: string | null;
  /** Neither encryption nor certificates, beyond loopback too. */
  readonly insecure: boolean;
  /** It is in a pod, and its workers are those of a Job or StatefulSet. */
  readonly kubernetes: boolean;
  /** HOST:PORT for probes and Prometheus; null for nowhere. */
  readonly health: string | null;
  /** The coordinator's certificate, where an authority of the user's own gives them; null where the run's does. */
  readonly tls: CertificateFiles | null;
  readonly runDir: string;
  /** Another coordinator follows whenever this one ends. */
  readonly supervised: boolean;
  readonly json: boolean;
}

export type StartConfig =
  | {
      readonly kind: 'new';
      readonly name: string | null;
      readonly training: TrainingOptions;
      readonly runtime: RuntimeOptions;
      /** Warnings to print before the run starts. */
      readonly notes: readonly string[];
    }
  | {
      readonly kind: 'resume';
      /** Name or folder of the run. */
      readonly run: string;
      /** Training options that were repeated; each must be what the run has recorded. */
      readonly given: Partial<TrainingOptions>;
      readonly runtime: Omit<RuntimeOptions, keyof WorkerCounts>;
      readonly workers: Partial<WorkerCounts>;
    };

/**
 * Raw options → what to do, frozen. Throws invalid-argument for values that cannot be, alone or together;
 * RONDO_CACHE_GIB is one of them unless the option is given.
 */
export function resolveStart(raw: RawStart): StartConfig {
  const parsed = parseStart(raw);
  const places = {
    silenceMs: 1_000 * (parsed.silenceLimit ?? defaults.silenceLimit),
    checkpoints: {
      everySteps: parsed.checkpointSteps ?? null,
      everyMs: parsed.checkpointMinutes === undefined ? null : 60_000 * parsed.checkpointMinutes,
      keep: parsed.keepCheckpoints ?? defaults.keepCheckpoints,
    },
    cacheGib: parsed.cacheGib ?? diskCacheGib(process.env),
    nats: parsed.nats ?? null,
    natsPort: parsed.natsPort ?? null,
    listen: parsed.listen ?? defaults.listen,
    advertise: parsed.advertise ?? null,
    joinTokenFile: parsed.joinTokenFile ?? null,
    insecure: parsed.insecure ?? false,
    health: parsed.health ?? null,
    kubernetes: parsed.kubernetes ?? false,
    tls: readTls(parsed),
    runDir: parsed.runDir ?? defaults.runDir,
    supervised: (parsed.supervised || parsed.kubernetes) ?? false,
    json: parsed.json ?? false,
  };
  const { workers, localWorkers, minWorkers, maxWorkers } = parsed;
  const given = { workers, localWorkers, minWorkers, maxWorkers };
  if (parsed.resume !== undefined) {
    if (parsed.name !== undefined) {
      throw refused('--name cannot be given with --resume: a run keeps its name', 'leave --name out');
    }
    return Object.freeze({
      kind: 'resume',
      run: parsed.resume,
      given: givenTraining(parsed),
      runtime: places,
      workers: given,
    });
  }
  if (places.supervised && parsed.name === undefined) {
    throw refused(
      '--supervised or --kubernetes is given without --name',
      'name the run that each coordinator goes on with',
    );
  }
  const counts = settleWorkers(given, defaults.workers, places.tls !== null);
  const training = resolveTraining(parsed);
  return Object.freeze({
    kind: 'new',
    name: parsed.name ?? null,
    training,
    runtime: Object.freeze({ ...counts, ...places }),
    notes: notesOn(parsed, training, counts.workers),
  });
}

function readTls({
  tlsCa: ca,
  tlsCert: cert,
  tlsKey: key,
  insecure,
  joinTokenFile,
}: ParsedStart): CertificateFiles | null {
  if (ca === undefined && cert === undefined && key === undefined) return null;
  if (ca === undefined || cert === undefined || key === undefined) {
    throw refused('--tls-ca, --tls-cert and --tls-key go together', 'give all three, or none');
  }
  if (insecure === true) throw refused('--insecure and --tls-cert do not go together', 'leave one out');
  if (joinTokenFile !== undefined)
    throw refused('--join-token-file and --tls-cert do not go together', 'leave one out');
  return { ca, cert, key };
}

/**
 * The numbers of workers, with their defaults.
 *
 * @param usual what the run begins with unless it is given.
 * @param bringCertificates workers have certificates of the user's own authority: none is started here.
 * @throws RondoError invalid-argument for numbers that cannot be together.
 */
export function settleWorkers(
  given: Partial<WorkerCounts>,
  usual: number,
  bringCertificates: boolean,
): WorkerCounts {
  const workers = given.workers ?? usual;
  const {
    localWorkers = bringCertificates ? 0 : workers,
    minWorkers = Math.min(defaults.minWorkers, workers),
  } = given;
  const maxWorkers = given.maxWorkers ?? defaults.maxWorkers;
  for (const [name, count] of Object.entries({ localWorkers, minWorkers })) {
    if (count <= workers) continue;
    throw refused(
      `--${dashed(name)} is ${count}, which is more than --workers ${workers}, the number that the run begins with`,
      `give --workers ${count} or more`,
    );
  }
  if (bringCertificates && localWorkers > 0) {
    throw refused(
      `--local-workers is ${localWorkers}, and workers that this machine starts have no certificate of --tls-ca`,
      'leave it out, and start them by `worker join --tls-ca … --tls-cert … --tls-key …`',
    );
  }
  if (maxWorkers < workers) {
    throw refused(
      `--max-workers is ${maxWorkers}, which is less than --workers ${workers}, the number that the run begins with`,
      `give --max-workers ${workers} or more`,
    );
  }
  return { workers, localWorkers, minWorkers, maxWorkers };
}

function notesOn(parsed: ParsedStart, training: TrainingOptions, workers: number): string[] {
  const notes: string[] = [];
  if (parsed.data === undefined) {
    notes.push(
      'no --data given: training on the sample set, which Rondo draws itself; for your own images: --data DIR',
    );
  }
  const parts = cutMicroBatches(training.batchSize, training.microBatch).length;
  if (workers > parts) {
    notes.push(
      `a step has ${parts} micro-batches (--batch-size ${training.batchSize} / --micro-batch ` +
        `${training.microBatch}), so ${workers - parts} of ${workers} workers will have none to compute`,
    );
  }
  return notes;
}
