import { rm } from 'node:fs/promises';
import { deadlinesOf } from '../../plan/deadlines.js';
import { totalSteps } from '../../plan/phases.js';
import { withDeadline } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { keepCheckpoints } from '../checkpoints/checkpoint-keeper.js';
import type { CoordinatorRecordFile } from '../run-store/coordinator-record.js';
import { type LineFile, openLineFile } from '../run-store/line-file.js';
import { removeTokenFile } from '../run-store/run-directory.js';
import { type Ending, type Summary, writeSummary, writeSummaryAtOnce } from '../run-store/summary.js';
import { controlOf, measurePace, openControl } from './control-run.js';
import { reportRun, summarize } from './finish-run.js';
import { knownKernels, openRecord, recordDecisions, saveLeft } from './left-run.js';
import {
  closeResources,
  destroyResources,
  fullDeadlines,
  noResources,
  type OpenResources,
  shortDeadlines,
} from './open-resources.js';
import type { PreparedRun } from './prepare-run.js';
import { recordMetrics } from './record-metrics.js';
import { runOnCluster } from './run-on-cluster.js';
import { createRunRecorder } from './run-recorder.js';
import type { ClusterResult, MetricsCollector } from './services.js';
import { addResumeRemedy, requireUpdates } from './skipped-steps.js';
import type { TrainContext } from './train-context.js';
import { considerResumed, considerStopping, type PhaseWork, trainPhases } from './train-phases.js';

/** How long a failed run waits for a checkpoint that is still being copied from a surviving worker. */
const lastCheckpointMs = 1_500;
const noMetrics = { published: 0, dropped: 0 };

interface ActiveRun extends PhaseWork {
  /** A new one whenever the run is started or resumed, unless workers that have the last one may live. */
  readonly token: string;
  readonly record: CoordinatorRecordFile;
  readonly context: TrainContext;
  readonly resources: OpenResources;
  readonly ledger: LineFile;
  readonly metrics: LineFile;
  /** When a state was last saved, or asked for inside an epoch. */
  savedAtMs: number;
}

/**
 * Trains a prepared run to its end, to a stop, or to a failure, and leaves the directory with its summary and
 * nothing running. Resolves in all three cases.
 */
export async function trainRun(
  run: PreparedRun,
  context: TrainContext,
): Promise<{ summary: Summary; error: RondoError | null }> {
  const startedMs = context.services.nowMs();
  const active = openRun(run, context);
  const { immediate, handover } = context.signals;
  const summarizeNow = (ending: Ending, report: string | null = null) => {
    const wallSeconds = (context.services.nowMs() - startedMs) / 1000;
    return summarize(run, active.recorder, ending, { wallSeconds, resume: context.resume, report });
  };
  const save = (summary: Summary) =>
    writeSummary(run.directory, summary).catch((error: Error) =>
      context.report({ kind: 'warning', text: `the summary could not be written: ${error.message}` }),
    );
  let ended: Ending | null = null;
  const endAtOnce = () => {
    destroyResources(active.resources);
    removeTokenFile(run.directory.token);
    active.record.remove();
    run.unlock();
    writeSummaryAtOnce(
      run.directory,
      summarizeNow(ended ?? { status: 'stopped', error: null, metrics: noMetrics }),
    );
  };
  immediate.addEventListener('abort', endAtOnce, { once: true });
  /** What is on the disk is what the next coordinator needs: as after SIGKILL. */
  const leave = () => {
    active.resources.workers?.leave();
    context.report({ kind: 'note', text: 'left to the next coordinator: the workers train on' });
  };
  handover?.addEventListener('abort', leave, { once: true });
  try {
    const ending = await operate(active);
    ended = ending;
    // The summary is written first, so that an error in the report cannot lose it.
    await save(summarizeNow(ending));
    const page = ending.status === 'completed' ? await reportRun(run, active.recorder, context) : null;
    const summary = summarizeNow(ending, page);
    if (page !== null) await save(summary);
    context.report({ kind: 'summary', ...summary });
    return { summary, error: ending.error };
  } finally {
    immediate.removeEventListener('abort', endAtOnce);
    handover?.removeEventListener('abort', leave);
    active.ledger.close();
    active.metrics.close();
    active.record.remove();
    // The store of a server that has ended: what it held stands in metrics.jsonl.
    await rm(run.directory.nats, { recursive: true, force: true }).catch(() => {});
    run.unlock();
  }
}

function openRun(run: PreparedRun, context: TrainContext): ActiveRun {
  const { services, report } = context;
  const resources = noResources();
  const { token, record } = openRecord(run);
  const ledger = openLineFile(run.directory.ledger);
  const publish: MetricsCollector['publish'] = (metric) => resources.collector?.publish(metric);
  const checkpoints = keepCheckpoints({
    ...{ config: run.config, keepBest: run.training.keepBest, folder: run.directory.checkpoints },
    ...{ ledger, report, publish, keep: run.runtime.checkpoints.keep },
    // There is nothing to pull before there are workers, which come in by it.
    pullState: (address, o) => services.pullState(address, { ...o, access: resources.access! }),
    stallMs: deadlinesOf(run.runtime.silenceMs).transferMs,
    synced: () => resources.cluster?.synced(),
    epochs: () => recorder.epochs,
  });
  const recorder = createRunRecorder({
    config: run.config,
    labels: Uint32Array.from(run.dataset.valid, ({ label }) => label),
    ledger,
    restored: run.restored,
    report,
    publish,
    checkpoint(end) {
      active.savedAtMs = services.nowMs();
      const endsPhase = end.whole && considerStopping(active);
      checkpoints.push({ ...end, endsPhase });
    },
    nowMs: services.nowMs,
  });
  const active: ActiveRun = {
    run,
    token,
    record,
    context,
    resources,
    ledger,
    metrics: openLineFile(run.directory.metrics),
    recorder,
    checkpoints,
    savedAtMs: services.nowMs(),
    start: run.checkpoint,
    phaseEnd: null,
    stoppedEarly: run.restored.earlyStops.length > 0,
  };
  return active;
}

async function operate(active: ActiveRun): Promise<Ending> {
  const { resources, checkpoints, context, recorder } = active;
  const { signal } = context.signals;
  try {
    const metrics = await openAndTrain(active);
    const unsaved = await checkpoints.settle();
    if (unsaved !== null) throw unsaved;
    requireUpdates(recorder.steps, recorder.skippedSteps);
    const status = recorder.nextStep < totalSteps(active.run.config) ? 'stopped' : 'completed';
    const earlyStopped = active.stoppedEarly;
    const event = status === 'stopped' ? 'stopped' : 'finished';
    resources.collector?.publish({ kind: 'event', event, step: recorder.steps });
    await closeResources(resources, true, `the run is ${status}`, fullDeadlines);
    return { status, earlyStopped, error: null, metrics };
  } catch (thrown) {
    const error = RondoError.from(thrown);
    await withDeadline(checkpoints.settle(), { timeoutMs: lastCheckpointMs, what: 'the checkpoint' }).catch(
      () => {},
    );
    checkpoints.abort();
    const cancelled = error.code === 'cancelled' && signal.aborted;
    await closeResources(resources, false, error.message, shortDeadlines);
    if (cancelled) return { status: 'stopped', error: null, metrics: noMetrics };
    return {
      status: 'failed',
      error: addResumeRemedy(error, recorder.steps, context.resume),
      metrics: noMetrics,
    };
  }
}

/** Has the workers hold a state inside the epoch for a checkpoint, when the last one is old enough. */
function considerSaving(active: ActiveRun): void {
  const { run, context, resources } = active;
  const { everyMs } = run.runtime.checkpoints;
  const nowMs = context.services.nowMs();
  if (everyMs === null || nowMs - active.savedAtMs < everyMs) return;
  active.savedAtMs = nowMs;
  resources.cluster?.snapshot();
}

/** Opens everything, trains, and returns how many metrics the workers sent. */
async function openAndTrain(active: ActiveRun): Promise<ClusterResult['metrics']> {
  const { run, token, record, context, resources, recorder, ledger } = active;
  const { services, signals, report, resume } = context;
  const { config, dataset, pretrainedPath, runtime, directory, left, early } = run;
  const { signal } = signals;
  const { identity } = directory;
  const { runId } = config;
  resources.early = early?.server ?? null;
  const access = early?.access ?? (await services.openAccess({ ...runtime, runId, folder: identity, token }));
  resources.access = access;
  const metrics = { run, services, report, access, resources, file: active.metrics, record };
  const nats = await recordMetrics(metrics);
  signal.throwIfAborted();
  considerResumed(active);
  const isAdopted = left?.adopted != null;
  if (recorder.nextStep === totalSteps(config) && !isAdopted) return noMetrics;
  saveLeft(run, active.checkpoints);
  const pace = measurePace();
  const { minWorkers, maxWorkers } = runtime;
  const controlled = { config, counts: { minWorkers, maxWorkers }, recorder };
  // Its address becomes the cluster's.
  await early?.server.close(deadlinesOf(runtime.silenceMs).shutdownMs);
  return runOnCluster({
    task: { ...runtime, config, dataset, pretrainedPath, listen: early?.server.address ?? runtime.listen },
    announced: early !== null,
    ...{ minWorkers, maxWorkers, silenceMs: runtime.silenceMs },
    ...{ nats, services, report, signal, resources, record, left: left?.lives ? left : null },
    ...{ access, identity },
    tokenFile: directory.token,
    logDir: directory.logs,
    snapshotSteps: runtime.checkpoints.everySteps ?? 0,
    listener: {
      ...recorder,
      decided: recordDecisions(ledger, record),
      stepCommitted(step) {
        pace.committed(services.nowMs());
        recorder.stepCommitted(step);
        considerSaving(active);
      },
    },
    ...knownKernels(run),
    endRemedy: `go on with: ${resume}`,
    checkpoint: () => active.start!,
    async work(cluster) {
      const control = controlOf({ ...controlled, resources, log: context.log, scale: context.scale }, pace);
      context.onControl?.(control);
      await openControl(control, directory.control, resources, context);
      return trainPhases(active, cluster);
    },
    onAbort(cluster) {
      report({ kind: 'stopping', reason: RondoError.from(signal.reason).message });
      cluster.stop('the coordinator was asked to stop');
    },
  });
}
