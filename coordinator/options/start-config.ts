import { cutMicroBatches } from '../../plan/micro-batches.js';
import { diskCacheGib } from '../../runtime/installation.js';
import { refused } from './option.js';
import { defaults } from './run-options.js';
import { type ParsedStart, parseStart, type RawStart, type TrainingOptions } from './start-schema.js';
import { givenTraining, resolveTraining } from './training-options.js';

/** Where and how a run is computed; may differ each time that it is resumed. */
export interface RuntimeOptions {
  readonly workers: number;
  /** Workers launched on this machine; the others join from elsewhere. */
  readonly localWorkers: number;
  /** Disk for decoded images, in GiB. */
  readonly cacheGib: number;
  readonly nats: string | null;
  readonly listen: string;
  readonly runDir: string;
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
      readonly runtime: Omit<RuntimeOptions, 'workers' | 'localWorkers'>;
      readonly workers: number | undefined;
      readonly localWorkers: number | undefined;
    };

/**
 * Raw options → what to do, frozen. Throws invalid-argument for values that cannot be, alone or together;
 * RONDO_CACHE_GIB is one of them unless the option is given.
 */
export function resolveStart(raw: RawStart): StartConfig {
  const parsed = parseStart(raw);
  const places = {
    cacheGib: parsed.cacheGib ?? diskCacheGib(process.env),
    nats: parsed.nats ?? null,
    listen: parsed.listen ?? defaults.listen,
    runDir: parsed.runDir ?? defaults.runDir,
    json: parsed.json ?? false,
  };
  checkLocalWorkers(parsed.workers, parsed.localWorkers);
  if (parsed.resume !== undefined) {
    if (parsed.name !== undefined) {
      throw refused('--name cannot be given with --resume: a run keeps its name', 'leave --name out');
    }
    const { workers, localWorkers } = parsed;
    const given = givenTraining(parsed);
    return Object.freeze({
      kind: 'resume',
      run: parsed.resume,
      given,
      runtime: places,
      workers,
      localWorkers,
    });
  }
  const workers = parsed.workers ?? defaults.workers;
  const localWorkers = parsed.localWorkers ?? workers;
  checkLocalWorkers(workers, localWorkers);
  const training = resolveTraining(parsed);
  return Object.freeze({
    kind: 'new',
    name: parsed.name ?? null,
    training,
    runtime: Object.freeze({ workers, localWorkers, ...places }),
    notes: notesOn(parsed, training, workers),
  });
}

function checkLocalWorkers(workers: number | undefined, localWorkers: number | undefined): void {
  if (workers === undefined || localWorkers === undefined || localWorkers <= workers) return;
  throw refused(
    `--local-workers is ${localWorkers}, which is more than --workers ${workers}, the number in all`,
    `give --workers ${localWorkers} or more`,
  );
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
