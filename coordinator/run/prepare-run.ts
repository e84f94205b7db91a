import { rmSync } from 'node:fs';
import { platform, release } from 'node:os';
import { totalEpochs, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { cannotWrite } from '../../runtime/durable-file.js';
import { version } from '../../runtime/installation.js';
import { maskUrls } from '../../runtime/mask-urls.js';
import type { Checkpoint } from '../checkpoints/checkpoint-file.js';
import { findPretrained, requireHeadFits } from '../checkpoints/pretrained.js';
import { findSource, takeOver } from '../checkpoints/source-run.js';
import { chooseLanes } from '../launch/choose-lanes.js';
import { divideThreads } from '../launch/worker-environment.js';
import type { Adopted } from '../membership/reattach.js';
import type { RuntimeOptions, StartConfig } from '../options/start-config.js';
import type { TrainingOptions } from '../options/start-schema.js';
import type { CoordinatorRecord } from '../run-store/coordinator-record.js';
import { writeImageRecord } from '../run-store/image-record.js';
import { emptyLedger, type LedgerState } from '../run-store/ledger.js';
import {
  clearPrepared,
  createRunDirectory,
  isLocked,
  lockRun,
  type RunDirectory,
  type RunRecord,
  writeQuarantined,
  writeRunRecord,
} from '../run-store/run-directory.js';
import type { RunEvent } from '../telemetry/run-events.js';
import { buildRunConfig } from './run-config.js';
import type { RunServices } from './services.js';

/** What a coordinator left that died in the middle of a run. */
export interface LeftRun {
  readonly record: CoordinatorRecord;
  /** Some of its workers may still train, and look for a coordinator where the record says. */
  readonly lives: boolean;
  /** What they go on with; null when the run goes back to a checkpoint, and they join anew. */
  readonly adopted: Adopted | null;
}

/** A run whose directory is locked by this process, ready to be trained. */
export interface PreparedRun {
  readonly directory: RunDirectory;
  readonly config: RunConfig;
  readonly training: TrainingOptions;
  readonly dataset: Dataset;
  readonly quarantined: readonly { readonly path: string; readonly reason: string }[];
  readonly pretrainedPath: string | null;
  readonly runtime: RuntimeOptions;
  /** The state to start from; null for the beginning. */
  readonly checkpoint: Checkpoint | null;
  /** What the ledger says of the steps before that state. */
  readonly restored: LedgerState;
  /** What a coordinator that died left; null for a new run, and when the last one ended in order. */
  readonly left: LeftRun | null;
  /** Times the run was resumed, this one included. */
  readonly resumptions: number;
  /** Gives the run's lock back. */
  unlock(): void;
}

export interface PrepareContext {
  readonly services: RunServices;
  report(event: RunEvent): void;
  readonly signal: AbortSignal;
  /** The command line, for run.json. */
  readonly command: readonly string[];
}

/**
 * Checks the weights to begin with and indexes the data, then makes and locks the run's directory: a run that
 * cannot begin leaves no directory.
 */
export async function prepareNewRun(
  start: Extract<StartConfig, { kind: 'new' }>,
  context: PrepareContext,
): Promise<PreparedRun> {
  const { training, runtime } = start;
  for (const text of start.notes) context.report({ kind: 'note', text });
  const { from } = training;
  const source = from === null ? null : await findSource(from, runtime.runDir, training);
  const pretrained = await findPretrained(training, context);
  const { dataset, quarantined, validation, remarks } = await indexData(training, context);
  requireHeadFits(pretrained, dataset.classes.length);
  const now = new Date();
  const directory = createRunDirectory(runtime.runDir, start.name, training.arch, now);
  let unlock: (() => void) | null = null;
  try {
    unlock = lockRun(directory.path);
    clearPrepared(directory);
    const plain = buildRunConfig(directory.runId, training, dataset, pretrained?.digest ?? null);
    const taken = source === null ? null : await takeOver(source, plain, directory.initialWeights, context);
    const weights = taken?.weights ?? pretrained;
    const threads = chooseThreads(training, runtime);
    const lanes = training.lanes ?? chooseLanes({ ...runtime, threads });
    const config = Object.freeze({ ...plain, threads, lanes, pretrainedDigest: weights?.digest ?? null });
    await writeImageRecord(directory.images, dataset);
    await writeQuarantined(directory, quarantined);
    await writeRunRecord(directory, {
      runId: directory.runId,
      createdAt: now.toISOString(),
      command: context.command.map(maskUrls),
      versions: { rondo: version, node: process.versions.node, platform: `${platform()} ${release()}` },
      workers: runtime.workers,
      training,
      source: taken?.record ?? null,
      datasetDigest: dataset.digest,
      ...rootsOf(dataset),
      data: { validation: validation ?? null, remarks: remarks ?? [] },
      config,
    });
    return {
      directory,
      config,
      training,
      dataset,
      quarantined,
      pretrainedPath: weights?.path ?? null,
      runtime,
      checkpoint: null,
      ...{ restored: emptyLedger, left: null },
      resumptions: 0,
      unlock,
    };
  } catch (error) {
    // Another coordinator was quicker.
    if (unlock === null && isLocked(directory.path)) throw error;
    unlock?.();
    // The folder holds nothing worth keeping, and its name becomes free again.
    rmSync(directory.path, { recursive: true, force: true });
    throw cannotWrite(directory.path, error);
  }
}

/** Of every worker of a new run; those on this machine decide when it is left to the machine. */
export function chooseThreads(
  { threads }: Pick<TrainingOptions, 'threads'>,
  { localWorkers }: { readonly localWorkers: number },
): number {
  return threads ?? divideThreads(Math.max(1, localWorkers));
}

/** Where a run's images lie, as its record says it. */
export function rootsOf({ root, validRoot }: Dataset): Pick<RunRecord, 'dataRoot' | 'validRoot'> {
  return { dataRoot: root, ...(validRoot === undefined ? {} : { validRoot }) };
}

/** What indexing needs of a `PrepareContext`. */
export interface IndexContext extends Pick<PrepareContext, 'report' | 'signal'> {
  readonly services: Pick<RunServices, 'openDataset'>;
}

/** The data set of a run, with progress reported. */
export async function indexData(
  { data, labelPattern, labels, valid, validPct, split, shuffleWindow, skipBroken, seed }: TrainingOptions,
  { services, report, signal }: IndexContext,
): ReturnType<RunServices['openDataset']> {
  const indexed = await services.openDataset({
    data,
    ...(labelPattern === null ? {} : { labelPattern }),
    ...(labels === null ? {} : { labelsFile: labels }),
    ...(valid === null ? {} : { validDir: valid }),
    validPct,
    split,
    shuffleWindow,
    skipBroken,
    seed,
    onProgress: (progress) => report({ kind: 'dataset', ...progress }),
    onQuarantined(files) {
      for (const { path, reason } of files) report({ kind: 'quarantined', path, reason });
    },
    signal,
  });
  for (const { level, ...remark } of indexed.remarks ?? []) report({ kind: level, ...remark });
  return indexed;
}

/** What the person is told of a run before it starts. */
export function describePrepared(run: PreparedRun): RunEvent {
  const { config, directory, runtime, quarantined, checkpoint, left } = run;
  return {
    kind: 'prepared',
    runId: config.runId,
    directory: directory.path,
    arch: config.arch,
    size: config.size,
    workers: runtime.workers,
    classes: config.classes.length,
    train: config.trainCount,
    valid: config.validCount,
    quarantined: quarantined.length,
    epochs: totalEpochs(config),
    stepsPerEpoch: totalSteps(config) / totalEpochs(config),
    startStep: left?.adopted?.committed ?? checkpoint?.record.step ?? 0,
  };
}
