import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RondoError } from '../../runtime/errors.js';
import { findNewestCheckpoint } from '../checkpoints/checkpoint-folder.js';
import { readLedger } from '../run-store/ledger.js';
import { type RunDirectory, readRunRecord, runDirectoryAt } from '../run-store/run-directory.js';
import { verifyLedger } from '../run-store/verify-ledger.js';
import type { ChaosEvent, ChaosResult, RunName, RunOutcome } from './chaos-events.js';
import { type FaultKind, planFaults } from './faults.js';
import { type Moment, measureFaults, trainingSeconds } from './figures.js';
import { type Followed, followRun } from './follow-run.js';
import { findLeftovers } from './leftovers.js';
import { openRelay } from './relay.js';

export interface ChaosOptions {
  /** This program, as `process.argv` names it. */
  readonly program: string;
  /** Further options of `coordinator start`. */
  readonly inputs: readonly string[];
  readonly workers: number;
  readonly seed: number;
  readonly faults: number;
  readonly kinds: readonly FaultKind[];
  /** Receives the two runs. */
  readonly folder: string;
  /** Whether the runs stay there when all is well. */
  readonly keep: boolean;
  report(event: ChaosEvent): void;
  readonly signal: AbortSignal;
}

/** Workers whose coordinator is gone end by themselves, but not at once. */
const graceMs = 30_000;

/**
 * Trains a run twice, once with faults, and compares how they end.
 *
 * @throws RondoError when a run fails, or the signal's reason; both folders are then left as they are.
 */
export async function runChaos(o: ChaosOptions): Promise<ChaosResult> {
  const undisturbed = await train('undisturbed', { ...o, faults: 0 });
  const disturbed = await train('disturbed', o);
  const leftovers = await findLeftovers(
    [...runPaths(o.folder), ...undisturbed.addresses, ...disturbed.addresses],
    new Set([...undisturbed.pids, ...disturbed.pids]),
    graceMs,
  );
  const [one, other] = [undisturbed.outcome, disturbed.outcome];
  const equal = one.stateDigest === other.stateDigest && one.parameterDigest === other.parameterDigest;
  const figures = measureFaults(disturbed.moments, o.workers);
  const isClean = (left: readonly unknown[] | null) => left === null || left.length === 0;
  const ok =
    equal &&
    one.ledgerDifference === null &&
    other.ledgerDifference === null &&
    figures.needlessRollbacks === 0 &&
    isClean(leftovers.processes) &&
    isClean(leftovers.sharedFiles);
  const isRemoved = ok && !o.keep;
  if (isRemoved) await rm(o.folder, { recursive: true, force: true });
  return {
    ...{ ok, equal, undisturbed: one, disturbed: other },
    goodput: other.seconds > 0 ? one.seconds / other.seconds : 0,
    faults: countFaults(disturbed.moments),
    figures,
    processesLeft: leftovers.processes,
    sharedFilesLeft: leftovers.sharedFiles,
    folder: isRemoved ? null : o.folder,
  };
}

/** As they stand in the command lines of what belongs to the runs. */
function runPaths(folder: string): string[] {
  return (['undisturbed', 'disturbed'] as const).map((run) => join(folder, run));
}

async function train(run: RunName, o: ChaosOptions): Promise<Followed & { readonly outcome: RunOutcome }> {
  const directory = runDirectoryAt(join(o.folder, run));
  const relay = o.faults > 0 && o.kinds.includes('partition') ? await openRelay() : null;
  const workers = ['--workers', String(o.workers)];
  const followed = await followRun({
    ...{ run, directory, relay, program: o.program, workers: o.workers, report: o.report, signal: o.signal },
    inputs: {
      start: ['start', '--run-dir', o.folder, '--name', run, ...workers, ...o.inputs],
      resume: ['start', '--resume', directory.path, ...workers],
    },
    planFaults: (steps) => (o.faults === 0 ? [] : planFaults({ ...o, count: o.faults, steps })),
  });
  const outcome = await readOutcome(directory, followed.moments);
  o.report({ kind: 'outcome', run, ...outcome });
  return { ...followed, outcome };
}

async function readOutcome(directory: RunDirectory, moments: readonly Moment[]): Promise<RunOutcome> {
  const { config } = readRunRecord(directory);
  const verdict = await verifyLedger(config, () => readLedger(directory.ledger), { complete: true });
  const newest = await findNewestCheckpoint(directory.checkpoints, (damage) => {
    throw damage;
  });
  if (newest === null) throw new RondoError('data-loss', `${directory.path} holds no checkpoint of its end`);
  const { stateDigest, parameterDigest, step } = newest.record;
  const counts = verdict.ok
    ? { steps: verdict.steps, samples: verdict.samples }
    : { steps: step, samples: 0 };
  return {
    ...counts,
    seconds: trainingSeconds(moments),
    ...{ stateDigest, parameterDigest },
    ledgerDifference: verdict.ok ? null : verdict.difference,
  };
}

function countFaults(moments: readonly Moment[]): Partial<Record<FaultKind, number>> {
  const counts: Partial<Record<FaultKind, number>> = {};
  for (const moment of moments) {
    if (moment.what === 'fault') counts[moment.kind] = (counts[moment.kind] ?? 0) + 1;
  }
  return counts;
}
