import { join } from 'node:path';
import { totalSteps } from '../../plan/phases.js';
import type { PhaseConfig } from '../../plan/run-config.js';
import { countSinceBest, findBestEpoch } from '../checkpoints/best-epoch.js';
import { type Checkpoint, readCheckpointRecord } from '../checkpoints/checkpoint-file.js';
import { describeDamage, findNewestCheckpoint } from '../checkpoints/checkpoint-folder.js';
import type { LatestQueue, SavedEnd } from '../checkpoints/checkpoint-keeper.js';
import { nameCheckpoint } from '../checkpoints/checkpoint-names.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { EarlyStop, RunEvent } from '../telemetry/run-events.js';
import type { PreparedRun } from './prepare-run.js';
import type { RunRecorder } from './run-recorder.js';
import type { ClusterResult, RunningCluster } from './services.js';

/**
 * Whether the phase of the last of `epochs`, which is not the phase's last one, has gone `patience` epochs
 * without a lower validation loss. Like fastai's callback it looks at one fit alone. Decided from the
 * ledger's epochs, so that a resumed run decides as one that was never stopped.
 */
export function decideEarlyStop(
  epochs: readonly EpochRecord[],
  patience: number | null,
  phases: readonly PhaseConfig[],
): EarlyStop | null {
  const last = epochs.at(-1);
  if (patience === null || last === undefined) return null;
  let firstEpoch = 0;
  const index = phases.findIndex((phase) => {
    const within = last.epoch < firstEpoch + phase.epochs;
    if (!within) firstEpoch += phase.epochs;
    return within;
  });
  const phase = phases[index]!;
  if (last.epoch === firstEpoch + phase.epochs - 1) return null;
  const own = epochs.filter(({ epoch }) => epoch >= firstEpoch);
  if (countSinceBest(own, 'valid_loss') < patience) return null;
  const best = findBestEpoch(own, 'valid_loss');
  return {
    phase: phase.name,
    nextPhase: phases[index + 1]?.name ?? null,
    epoch: last.epoch,
    patience,
    bestEpoch: best?.epoch ?? null,
    validLoss: best?.valid_loss ?? null,
  };
}

/** A run on its way through its phases. */
export interface PhaseWork {
  readonly run: PreparedRun;
  readonly recorder: RunRecorder;
  readonly checkpoints: LatestQueue<SavedEnd>;
  readonly context: { report(event: RunEvent): void; readonly signals: { readonly signal: AbortSignal } };
  readonly resources: { readonly cluster: Pick<RunningCluster, 'stop'> | null };
  /** The state that workers begin with; null for the run's first. */
  start: Checkpoint | null;
  /** A phase ended early, and the workers have not gone on from there yet. */
  phaseEnd: EarlyStop | null;
  /** A phase ended early, now or before the run was resumed. */
  stoppedEarly: boolean;
}

/**
 * Ends the phase with its newest epoch when the validation loss has not fallen for long enough. Says whether
 * it does.
 */
export function considerStopping(work: PhaseWork): boolean {
  const { run, recorder, context, resources } = work;
  const stop = decideEarlyStop(recorder.epochs, run.training.earlyStopping, run.config.phases);
  if (stop === null) return false;
  work.phaseEnd = stop;
  work.stoppedEarly = true;
  recorder.endPhase(stop.epoch);
  context.report({ kind: 'early-stop', ...stop });
  resources.cluster?.stop(`valid_loss has not fallen for ${stop.patience} epochs`);
  return true;
}

/**
 * The same before training: a run may have been interrupted after the epoch that ends its phase, and before
 * it went on.
 */
export function considerResumed(work: PhaseWork): void {
  const { record } = work.start ?? {};
  if (!record?.whole || work.recorder.epochs.at(-1)?.epoch !== record.epoch) return;
  considerStopping(work);
  work.phaseEnd = null;
}

/** Has the run go on from its newest checkpoint, or from its beginning where there is none. */
async function goBack(work: PhaseWork): Promise<void> {
  const { run, recorder, checkpoints, context } = work;
  // One that was being copied from a worker may be lost with it.
  await checkpoints.settle();
  work.start = await findNewestCheckpoint(run.directory.checkpoints, (damage, instead) =>
    context.report({ kind: 'warning', text: describeDamage(damage, instead) }),
  );
  recorder.rollBack(work.start?.record.step ?? 0);
  work.phaseEnd = null;
  // There is no generation to be stopped.
  const resumed = { ...work, resources: { cluster: null } };
  considerResumed(resumed);
  work.stoppedEarly = resumed.stoppedEarly;
}

/** So often the state that a phase ended with may be missed before the run fails. */
const mostMissed = 3;

/**
 * Trains to the end of the run, or to a stop. When all workers that held the run's state are lost, it goes on
 * from its newest checkpoint. When a phase ends early, the workers stop some steps later; they then take up the
 * state that the phase ended with, and go on with the next phase.
 */
export async function trainPhases(
  work: PhaseWork,
  cluster: Pick<RunningCluster, 'run'>,
): Promise<ClusterResult['metrics']> {
  const { run, context, recorder, checkpoints } = work;
  let missed = 0;
  for (;;) {
    const source = work.start === null ? 'fresh' : 'checkpoint';
    const { metrics, stateLost } = await cluster.run({ step: recorder.nextStep, source });
    if (stateLost && !context.signals.signal.aborted) {
      await goBack(work);
      continue;
    }
    const { phaseEnd } = work;
    if (phaseEnd === null) return metrics;
    const unsaved = await checkpoints.settle();
    if (unsaved !== null) {
      const isHolders = unsaved.code === 'not-found' || unsaved.code === 'unavailable';
      if (!isHolders || missed === mostMissed) throw unsaved;
      // The worker went on and no longer holds that state, or is gone. Trained again, it is the same state.
      missed += 1;
      if (context.signals.signal.aborted) return metrics;
      await goBack(work);
      continue;
    }
    if (recorder.nextStep === totalSteps(run.config) || context.signals.signal.aborted) return metrics;
    const name = nameCheckpoint({ epoch: phaseEnd.epoch, step: 0, whole: true });
    work.start = await readCheckpointRecord(join(run.directory.checkpoints, name));
    work.phaseEnd = null;
  }
}
