import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withDeadline } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import type { EpochEnd } from '../cluster/cluster-events.js';
import { type Bookkeeper, keepBooks } from './bookkeeper.js';
import { streamCheckpoint, writeCheckpoint } from './checkpoint-file.js';
import { nameCheckpoint, pruneCheckpoints } from './checkpoints.js';
import { createLatestQueue, type LatestQueue } from './latest-queue.js';
import { type LineFile, openLineFile } from './line-file.js';
import { openMetricsIntake } from './metrics-intake.js';
import type { PreparedRun } from './prepare-run.js';
import { reportRun } from './report-run.js';
import { digestRunConfig } from './run-config.js';
import type { RunEvent } from './run-events.js';
import type { ClusterResult, RunServices } from './services.js';
import { brisk, closeStage, destroyStage, emptyStage, patient, type Stage } from './stage.js';
import { nameAgain, nameStage } from './stage-checkpoint.js';
import { summarize } from './summarize.js';
import { type Ending, type Summary, writeSummary, writeSummaryAtOnce } from './summary.js';

/** A broken run still waits so long for the checkpoint that is being copied from a survivor. */
const lastCheckpointMs = 1_500;
const noMetrics = { published: 0, dropped: 0 };

export interface TrainContext {
  readonly services: RunServices;
  report(event: RunEvent): void;
  /** Aborts to finish the step and end; then, `immediate`, to end at once. */
  readonly signals: { readonly signal: AbortSignal; readonly immediate: AbortSignal };
  /** The command that goes on with this run. */
  readonly resume: string;
}

interface Desk {
  readonly run: PreparedRun;
  readonly context: TrainContext;
  readonly stage: Stage;
  readonly ledger: LineFile;
  readonly metrics: LineFile;
  readonly books: Bookkeeper;
  readonly checkpoints: LatestQueue<EpochEnd>;
}

/**
 * Trains a prepared run to its end, to a stop, or to a failure, and leaves the directory with its summary and nothing
 * running. Resolves in all three cases.
 */
export async function trainRun(
  run: PreparedRun,
  context: TrainContext,
): Promise<{ summary: Summary; error: RondoError | null }> {
  const startedMs = context.services.nowMs();
  const desk = openDesk(run, context);
  const { immediate } = context.signals;
  const summarizeNow = (ending: Ending, report: string | null = null) => {
    const wallSeconds = (context.services.nowMs() - startedMs) / 1000;
    return summarize(run, desk.books, ending, { wallSeconds, resume: context.resume, report });
  };
  const leaveAtOnce = () => {
    destroyStage(desk.stage);
    run.unlock();
    writeSummaryAtOnce(run.directory, summarizeNow({ status: 'stopped', error: null, metrics: noMetrics }));
  };
  immediate.addEventListener('abort', leaveAtOnce, { once: true });
  try {
    const ending = await operate(desk);
    const completed = ending.status === 'completed';
    const report = completed ? await reportRun(run, desk.books, context.report) : null;
    const summary = summarizeNow(ending, report);
    await writeSummary(run.directory, summary).catch((error: Error) =>
      context.report({ kind: 'warning', text: `the summary could not be written: ${error.message}` }),
    );
    context.report({ kind: 'summary', ...summary });
    return { summary, error: ending.error };
  } finally {
    immediate.removeEventListener('abort', leaveAtOnce);
    desk.ledger.close();
    desk.metrics.close();
    // The store of a server that has ended: what it held stands in metrics.jsonl.
    await rm(run.directory.nats, { recursive: true, force: true }).catch(() => {});
    run.unlock();
  }
}

function openDesk(run: PreparedRun, context: TrainContext): Desk {
  const { services, report } = context;
  const stage = emptyStage();
  const ledger = openLineFile(run.directory.ledger);
  const checkpoints = createLatestQueue<EpochEnd>(
    (end, signal) => saveCheckpoint(end, signal, desk),
    (end) => nameStage(run.config, end) !== null,
    (end, error) =>
      report({ kind: 'warning', text: `${nameCheckpoint(end)} was not saved: ${error.message}` }),
  );
  const books = keepBooks({
    config: run.config,
    labels: run.dataset.valid.map((sample) => sample.label),
    ledger,
    restored: run.restored,
    report,
    publish: (metric) => stage.collector?.publish(metric),
    checkpoint: (end) => checkpoints.push(end),
    nowMs: services.nowMs,
  });
  const desk: Desk = {
    run,
    context,
    stage,
    ledger,
    metrics: openLineFile(run.directory.metrics),
    books,
    checkpoints,
  };
  return desk;
}

async function saveCheckpoint(end: EpochEnd, signal: AbortSignal, desk: Desk): Promise<void> {
  const { run, context, ledger, books, stage } = desk;
  const { header, values } = await context.services.pullState(end.holderAddress, { ...end, signal });
  // A checkpoint promises the steps before it: they must be on the disk first.
  ledger.sync();
  // The stage first: a crash in between then leaves no epoch that a resumed run would go on from without it.
  const names = [nameStage(run.config, end) ?? [], nameCheckpoint(end)].flat();
  const [path, ...otherPaths] = names.map((name) => join(run.directory.checkpoints, name));
  await writeCheckpoint(path!, { ...end, header, values, runConfigDigest: digestRunConfig(run.config) });
  for (const other of otherPaths) await nameAgain(path!, other);
  for (const name of names) {
    context.report({ kind: 'checkpoint', name, step: end.step });
    stage.collector?.publish({ kind: 'event', event: 'checkpoint', detail: name, step: end.step });
  }
  await pruneCheckpoints(run.directory.checkpoints, books.epochs);
}

async function operate(desk: Desk): Promise<Ending> {
  const { stage, checkpoints, context, books } = desk;
  const { signal } = context.signals;
  try {
    const { stopped, metrics } = await openAndTrain(desk);
    const unsaved = await checkpoints.settle();
    if (unsaved !== null) throw unsaved;
    const status = stopped ? 'stopped' : 'completed';
    const event = stopped ? 'stopped' : 'finished';
    stage.collector?.publish({ kind: 'event', event, step: books.steps });
    await closeStage(stage, true, `the run is ${status}`, patient);
    return { status, error: null, metrics };
  } catch (thrown) {
    const error = RondoError.from(thrown);
    await withDeadline(checkpoints.settle(), { timeoutMs: lastCheckpointMs, what: 'the checkpoint' }).catch(
      () => {},
    );
    checkpoints.abort();
    const cancelled = error.code === 'cancelled' && signal.aborted;
    await closeStage(stage, false, error.message, brisk);
    if (cancelled) return { status: 'stopped', error: null, metrics: noMetrics };
    return { status: 'failed', error: nameTheWayOn(error, desk), metrics: noMetrics };
  }
}

/** What was trained is not lost: says how to go on, unless the error does so already. */
function nameTheWayOn(error: RondoError, { books, context }: Desk): RondoError {
  if (books.steps === 0 || error.remedy?.includes(context.resume)) return error;
  const remedies = [error.remedy, `go on with: ${context.resume}`].filter((remedy) => remedy !== undefined);
  return new RondoError(error.code, error.message, { remedy: remedies.join('; '), cause: error });
}

async function openAndTrain(desk: Desk): Promise<ClusterResult> {
  const { run, context, stage, books } = desk;
  const { services, signals, report, resume } = context;
  const { config, dataset, pretrainedPath, checkpoint, runtime, directory } = run;
  const { signal } = signals;
  const nats = await openMetricsIntake({ run, services, report, stage, file: desk.metrics });
  signal.throwIfAborted();
  stage.cluster = await services.openCluster({
    listen: runtime.listen,
    config,
    worldSize: runtime.workers,
    welcome: { natsUrl: nats.url, natsToken: nats.token },
    dataset,
    pretrainedPath,
    checkpoint: () => streamCheckpoint(checkpoint!),
    listener: books,
    endRemedy: `go on with: ${resume}`,
  });
  const { cluster } = stage;
  const { workers, localWorkers } = runtime;
  report({ kind: 'waiting', address: cluster.address, workers, localWorkers });
  if (localWorkers > 0) {
    stage.workers = services.launchWorkers({
      count: localWorkers,
      coordinatorAddress: cluster.address,
      logDir: directory.logs,
      threads: runtime.threads,
    });
    void stage.workers.failed.then((error) => cluster.workerExited(error));
  }
  const stop = () => {
    report({ kind: 'stopping', reason: RondoError.from(signal.reason).message });
    cluster.stop('the coordinator was asked to stop');
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await cluster.run({ step: books.steps, source: checkpoint === null ? 'fresh' : 'checkpoint' });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
