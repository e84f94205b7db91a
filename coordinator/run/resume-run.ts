import type { Dataset } from '../../proto/dataset.js';
import { restoreReplaced } from '../../runtime/durable-file.js';
import { RondoError } from '../../runtime/errors.js';
import { digestFile } from '../../runtime/file-digest.js';
import { version } from '../../runtime/installation.js';
import { shellWord } from '../../runtime/printable.js';
import { type Checkpoint, digestRunConfig } from '../checkpoints/checkpoint-file.js';
import { describeDamage, findNewestCheckpoint } from '../checkpoints/checkpoint-folder.js';
import { findPretrained } from '../checkpoints/pretrained.js';
import type { Adopted } from '../membership/reattach.js';
import { defaults } from '../options/run-options.js';
import { type RuntimeOptions, type StartConfig, settleWorkers } from '../options/start-config.js';
import type { CoordinatorRecord } from '../run-store/coordinator-record.js';
import { writeImageRecord } from '../run-store/image-record.js';
import {
  type LedgerLine,
  type LedgerState,
  readLedger,
  rollBack,
  settleLedger,
} from '../run-store/ledger.js';
import { openLineFile } from '../run-store/line-file.js';
import {
  findRunDirectory,
  lockRun,
  type RunDirectory,
  type RunRecord,
  readRunRecord,
  writeQuarantined,
  writeRunRecord,
} from '../run-store/run-directory.js';
import { readSummary } from '../run-store/summary.js';
import { type EarlyHelp, mayBeHelped, offerHelp } from './early-access.js';
import { type FinishedRun, isFinished } from './finished-run.js';
import { findAdoptable, findLeft } from './left-run.js';
import { type LeftRun, type PrepareContext, type PreparedRun, rootsOf } from './prepare-run.js';
import { indexRecordedData, movedPlaces, type Places } from './recorded-data.js';
import { requireSame } from './recorded-options.js';

type ResumeConfig = Extract<StartConfig, { kind: 'resume' }>;

export type Resumed = { readonly kind: 'ready'; readonly run: PreparedRun } | FinishedRun;

/**
 * Takes up a run where the workers are that its coordinator left when it died, else where its newest checkpoint
 * left it: same config, same data, ledger rolled back to that step. Data and weights may lie elsewhere now: where they do is recorded, and need not be said again. Throws
 * when another process works on the run, when an option or the data differ from the run's, and data-loss when
 * all checkpoints are damaged.
 */
export async function resumeRun(start: ResumeConfig, context: PrepareContext): Promise<Resumed> {
  const directory = findRunDirectory(start.run, start.runtime.runDir);
  const unlock = lockRun(directory.path);
  let help: EarlyHelp | null = null;
  try {
    const record = readRunRecord(directory);
    requireSame(start.given, record);
    const left = findLeft(directory, start.runtime.listen);
    const runtime = resolveRuntime(start, record, left);
    await restoreReplaced(directory.checkpoints);
    const checkpoint = await findNewestCheckpoint(directory.checkpoints, (damage, instead) =>
      context.report({ kind: 'warning', text: describeDamage(damage, instead) }),
    );
    if (checkpoint !== null) requireOwn(checkpoint, record);
    const step = checkpoint?.record.step ?? 0;
    const summary = await readSummary(directory);
    if (summary !== null && isFinished(summary, step, record)) {
      unlock();
      return { kind: 'finished', directory, summary };
    }
    const moved = movedPlaces(start.given, record.training);
    help = offerHelp(runtime, { ...context, begin: () => directory });
    // Workers that live train on: they are not asked.
    const helpers = !left?.lives && mayBeHelped(runtime) ? help : undefined;
    const asked = { ...context, helpers };
    const { dataset, quarantined } = await indexRecordedData(record, directory, asked, moved);
    await writeQuarantined(directory, quarantined);
    const pretrainedPath =
      checkpoint === null ? await findSamePretrained(record, directory, moved, context) : null;
    if (record.versions.rondo !== version) {
      const text = `the run was started by Rondo ${record.versions.rondo}; this is ${version}`;
      context.report({ kind: 'warning', text });
    }
    const { pretrained: _, ...verified } = moved;
    await rememberPlaces(directory, record, dataset, checkpoint === null ? moved : verified);
    const adoptable = left?.lives ? await findLeftLedger(left.record, record, directory, context) : null;
    const restored = adoptable?.restored ?? (await rollBackLedger(directory, step, context));
    return {
      kind: 'ready',
      run: {
        directory,
        config: record.config,
        training: record.training,
        dataset,
        quarantined,
        pretrainedPath,
        runtime,
        checkpoint,
        restored,
        left: left && { ...left, adopted: adoptable?.adopted ?? null },
        early: await help.opened(),
        unlock,
      },
    };
  } catch (error) {
    await help?.close();
    unlock();
    throw error;
  }
}

function resolveRuntime(
  { runtime, workers: given }: ResumeConfig,
  { workers: usual }: RunRecord,
  left: Omit<LeftRun, 'adopted'> | null,
): RuntimeOptions {
  const bringCertificates = runtime.tls !== null;
  if (!left?.lives) return { ...runtime, ...settleWorkers(given, usual, bringCertificates) };
  // Those that join by hand may still be there.
  const localWorkers = given.localWorkers ?? Math.min(left.record.localWorkers, given.workers ?? usual);
  const counts = settleWorkers({ ...given, localWorkers }, usual, bringCertificates);
  return { ...runtime, ...counts, listen: left.record.address };
}

function requireOwn({ path, record }: Checkpoint, { config, runId }: RunRecord): void {
  if (record.runConfigDigest === digestRunConfig(config)) return;
  throw new RondoError('data-loss', `${path} belongs to another run than ${runId}, or run.json was changed`, {
    remedy: 'restore both from a copy, or remove the checkpoint to begin again',
  });
}

async function findSamePretrained(
  { training, source, config }: RunRecord,
  directory: RunDirectory,
  moved: Places,
  context: PrepareContext,
): Promise<string | null> {
  const { path, digest } = source
    ? await findTaken(directory, context)
    : ((await findPretrained({ ...training, ...moved }, context)) ?? none);
  if (digest === config.pretrainedDigest) return path;
  throw new RondoError('failed-precondition', `${path} is not the file that the run began with`, {
    remedy: 'restore the file, or start a new run',
  });
}

const none = { path: null, digest: null };

async function findTaken({ initialWeights: path }: RunDirectory, { signal }: PrepareContext) {
  return { path, digest: await digestFile(path, '--resume', signal) };
}

/** Records where the run's files lie now, once they have proved to be its own. */
async function rememberPlaces(
  directory: RunDirectory,
  record: RunRecord,
  dataset: Dataset,
  moved: Places,
): Promise<void> {
  if (Object.keys(moved).length === 0) return;
  await writeImageRecord(directory.images, dataset);
  const training = { ...record.training, ...moved };
  const { validRoot: _, ...rest } = record;
  await writeRunRecord(directory, { ...rest, training, ...rootsOf(dataset) });
}

/** What the ledger holds, where workers can go on from there that a coordinator left; else null. */
async function findLeftLedger(
  left: CoordinatorRecord,
  record: RunRecord,
  { ledger }: RunDirectory,
  context: PrepareContext,
): Promise<{ restored: LedgerState; adopted: Adopted } | null> {
  const restored = await settleLedger(readLines(ledger, context));
  const adopted = findAdoptable(left, restored, record);
  return adopted === null ? null : { restored, adopted };
}

function readLines(ledger: string, { report, signal }: PrepareContext): AsyncGenerator<LedgerLine> {
  return readLedger(ledger, (progress) => {
    signal.throwIfAborted();
    report({ kind: 'dataset', phase: 'reading', subject: 'the ledger', unit: 'bytes', ...progress });
  });
}

/** Returns what the ledger holds up to a step, with the rollback that this resumption adds. */
async function rollBackLedger(
  { ledger }: RunDirectory,
  toStep: number,
  context: PrepareContext,
): Promise<LedgerState> {
  const file = openLineFile(ledger);
  try {
    const state = await settleLedger(readLines(ledger, context));
    const taken = (state.steps.at(-1)?.step ?? -1) + 1;
    if (taken < toStep) {
      throw new RondoError(
        'data-loss',
        `${ledger} knows ${taken} steps, but the checkpoint is of step ${toStep}`,
        {
          remedy: 'restore the ledger from a copy, or start a new run',
        },
      );
    }
    file.append({ kind: 'rollback', toStep } satisfies LedgerLine);
    file.sync();
    return { ...state, ...rollBack(state, toStep) };
  } finally {
    file.close();
  }
}

/** The command that goes on with a run. */
export function resumeCommand(program: string, { path, runId }: RunDirectory, runDir: string): string {
  return `${program} start --resume ${shellWord(runDir === defaults.runDir ? runId : path)}`;
}
