import { resolve } from 'node:path';
import type { Arch, FloatType } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { defaults, fineTuning, recipes } from './defaults.js';
import { type LearningRate, type ParsedStart, parseStart, type RawStart } from './start-schema.js';

/** What decides the weights. Recorded in run.json; a resumed run keeps it. */
export interface TrainingOptions {
  /** Absolute path of a folder, or 'sample'. */
  readonly data: string;
  readonly labelPattern: string | null;
  /** Fraction of the samples that validate, above 0 and below 1. */
  readonly validPct: number;
  readonly seed: number;
  readonly arch: Arch;
  readonly size: number;
  readonly batchSize: number;
  readonly microBatch: number;
  /** Unfrozen epochs; they follow `freezeEpochs`. */
  readonly epochs: number;
  readonly freezeEpochs: number;
  readonly lr: LearningRate;
  readonly weightDecay: number;
  /** Absolute path of a safetensors file. */
  readonly pretrained: string | null;
  readonly precision: FloatType;
  readonly wire: FloatType;
}

/** Where and how a run is computed; may differ each time that it is resumed. */
export interface RuntimeOptions {
  readonly workers: number;
  /** Workers launched on this machine; the others join from elsewhere. */
  readonly localWorkers: number;
  /** Of each worker launched here; null divides the cores among them. */
  readonly threads: number | null;
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
      /** Sentences that the person should read before the run starts. */
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

/** Raw options → what to do, frozen. Throws invalid-argument for values that cannot be, alone or together. */
export function resolveStart(raw: RawStart): StartConfig {
  const parsed = parseStart(raw);
  const places = {
    threads: parsed.threads ?? null,
    nats: parsed.nats ?? null,
    listen: parsed.listen ?? defaults.listen,
    runDir: parsed['run-dir'] ?? defaults.runDir,
    json: parsed.json ?? false,
  };
  checkLocalWorkers(parsed.workers, parsed['local-workers']);
  if (parsed.resume !== undefined) {
    if (parsed.name !== undefined) {
      throw refused('--name cannot be given with --resume: a run keeps its name', 'leave --name out');
    }
    const { workers, 'local-workers': localWorkers } = parsed;
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
  const localWorkers = parsed['local-workers'] ?? workers;
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

function resolveTraining(parsed: ParsedStart): TrainingOptions {
  const given = givenTraining(parsed);
  const data = given.data ?? 'sample';
  const recipe = data === 'sample' ? recipes.sample : recipes.folder;
  const pretrained = given.pretrained ?? null;
  const tuned = pretrained === null ? { freezeEpochs: 0, epochs: recipe.epochs, lr: recipe.lr } : fineTuning;
  const training: TrainingOptions = {
    data,
    labelPattern: given.labelPattern ?? null,
    validPct: given.validPct ?? defaults.validPct,
    seed: given.seed ?? defaults.seed,
    arch: given.arch ?? defaults.arch,
    size: given.size ?? recipe.size,
    batchSize: given.batchSize ?? recipe.batchSize,
    microBatch: given.microBatch ?? Math.min(recipe.microBatch, given.batchSize ?? recipe.batchSize),
    epochs: given.epochs ?? tuned.epochs,
    freezeEpochs: given.freezeEpochs ?? tuned.freezeEpochs,
    lr: given.lr ?? tuned.lr,
    weightDecay: given.weightDecay ?? defaults.weightDecay,
    pretrained,
    precision: given.precision ?? defaults.precision,
    wire: given.wire ?? defaults.wire,
  };
  checkTraining(training);
  return Object.freeze(training);
}

function givenTraining(parsed: ParsedStart): Partial<TrainingOptions> {
  const { data, pretrained } = parsed;
  const all = {
    data: data === undefined || data === 'sample' ? data : resolve(data),
    labelPattern: parsed['label-pattern'],
    validPct: parsed['valid-pct'],
    seed: parsed.seed,
    arch: parsed.arch,
    size: parsed.size,
    batchSize: parsed['batch-size'],
    microBatch: parsed['micro-batch'],
    epochs: parsed.epochs,
    freezeEpochs: parsed['freeze-epochs'],
    lr: parsed.lr,
    weightDecay: parsed['weight-decay'],
    pretrained: pretrained === undefined ? undefined : pretrained === 'none' ? null : resolve(pretrained),
    precision: parsed.precision,
    wire: parsed.wire,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function checkTraining(o: TrainingOptions): void {
  if (o.microBatch > o.batchSize) {
    throw refused(
      `--micro-batch is ${o.microBatch}, which is more than --batch-size ${o.batchSize}`,
      `give --micro-batch ${o.batchSize} or less`,
    );
  }
  if (o.freezeEpochs > 0 && o.pretrained === null) {
    throw refused(
      `--freeze-epochs is ${o.freezeEpochs}, but without --pretrained the frozen layers would stay random`,
      'give --pretrained FILE, or leave --freeze-epochs out',
    );
  }
  if (o.epochs + o.freezeEpochs === 0) {
    throw refused('--epochs is 0, so there is nothing to train', 'give --epochs 1 or more');
  }
  if (o.labelPattern !== null && o.data === 'sample') {
    throw refused(
      '--label-pattern reads labels from the file names of --data DIR; the sample set has its own',
      'give --data DIR, or leave --label-pattern out',
    );
  }
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
  const parts = Math.ceil(training.batchSize / training.microBatch);
  if (workers > parts) {
    notes.push(
      `a step has ${parts} micro-batches (--batch-size ${training.batchSize} / --micro-batch ` +
        `${training.microBatch}), so ${workers - parts} of ${workers} workers will have none to compute`,
    );
  }
  return notes;
}

function refused(message: string, remedy: string): RondoError {
  return new RondoError('invalid-argument', message, { remedy });
}
