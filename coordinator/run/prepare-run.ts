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
import type { VerificationHelpers } from '../dataset/verify.js';
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
import { type EarlyAccess, mayBeHelped, offerHelp } from './early-access.js';
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
  /** Those who helped to verify the images wait there for the run to begin; null unless they were asked. */
  readonly early: EarlyAccess | null;
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
  const now = new Date();
  let made: RunDirectory | null = null;
  let unlock: (() => void) | null = null;
  /** Once: before the images are verified where others help, who need it to join. */
  const begin = (): RunDirectory => {
    made ??= createRunDirectory(runtime.runDir, start.name, training.arch, now);
    if (unlock === null) {
      unlock = lockRun(made.path);
      clearPrepared(made);
    }
    return made;
  };
  const help = offerHelp(runtime, { ...context, begin });
  try {
    const helpers = mayBeHelped(runtime) ? help : undefined;
    const { dataset, quarantined, validation, remarks } = await indexData(training, { ...context, helpers });
    requireHeadFits(pretrained, dataset.classes.length);
    const directory = begin();
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
      early: await help.opened(),
      unlock: unlock!,
    };
  } catch (error) {
    await help.close();
    throw discard(made, unlock, error);
  }
}

/** Removes the folder of a run that does not begin, and returns what is thrown. */
function discard(directory: RunDirectory | null, unlock: (() => void) | null, error: unknown): unknown {
  // None was made, or another coordinator was quicker.
  if (directory === null || (unlock === null && isLocked(directory.path))) return error;
  unlock?.();
  // The folder holds nothing worth keeping, and its name becomes free again.
  rmSync(directory.path, { recursive: true, force: true });
  return cannotWrite(directory.path, error);
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
  readonly helpers?: VerificationHelpers | undefined;
}

/** The data set of a run, with progress reported. */
export async function indexData(
  { data, labelPattern, labels, valid, validPct, split, shuffleWindow, skipBroken, seed }: TrainingOptions,
  { services, report, signal, helpers }: IndexContext,
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
    helpers,
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
