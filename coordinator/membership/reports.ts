import type {
  EpochCompleted,
  Evaluation,
  Finished,
  Recorded,
  StepCommitted,
  WorkerMessage,
} from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { addAnswer } from './answers-by-rank.js';
import { commitStep } from './commit-step.js';
import { nameWorker, requireAgreement, violation } from './disagreement.js';
import type { Effect, RunResult } from './membership-events.js';
import type { Generation, Progress, Reports } from './membership-state.js';
import { mergeEvaluation } from './merge-evaluation.js';
import type { Rules } from './rules.js';

/** A generation that has begun. */
interface Begun {
  readonly generation: Generation;
  readonly reports: Reports;
  readonly progress: Progress;
}

interface Advance {
  readonly reports: Reports;
  readonly progress: Progress;
  readonly effects: readonly Effect[];
}

/** Nothing reported yet; all begin with the state of `startDigest`. */
export function noReports(generation: Generation, startDigest: string): Reports {
  return {
    startDigest,
    keptStep: null,
    reported: generation.places.map(() => generation.startStep),
    steps: new Map(),
    evaluations: new Map(),
    states: new Map(),
    finished: new Map(),
  };
}

/** What has been recorded when the disk has all of it. */
export function recordedIn(progress: Progress): Recorded {
  return { steps: BigInt(progress.committed), epochs: closedEpoch(progress) + 1 };
}

/** The last epoch that all ranks have evaluated and digested; -1 before the first. */
export function closedEpoch({ evaluatedEpoch, digestedEpoch }: Progress): number {
  return Math.min(evaluatedEpoch, digestedEpoch);
}

/**
 * A rank reports that it took a step. The step is committed when all ranks have said so, with the same
 * numbers.
 *
 * @throws RondoError data-loss when they differ, internal when a rank skips or repeats a step.
 */
function reportStep(
  rules: Pick<Rules, 'planOf'>,
  { generation, reports, progress }: Begun,
  rank: number,
  report: StepCommitted,
): Advance {
  const step = Number(report.step);
  const due = reports.reported[rank]!;
  if (step !== due) throw violation(generation, rank, `step ${step} where step ${due} was due`);
  const { answers, complete } = addAnswer(reports.steps, step, rank, report, generation.places.length);
  const next = { ...reports, steps: answers, reported: reports.reported.with(rank, step + 1) };
  if (complete === null) return { reports: next, progress, effects: [] };
  const value = commitStep(rules, generation, step, complete);
  return {
    reports: next,
    progress: { ...progress, committed: step + 1, fruitless: 0 },
    effects: [{ kind: 'stepCommitted', value }],
  };
}

/**
 * A rank's share of an evaluation.
 *
 * @throws RondoError data-loss when the shares do not make a whole.
 */
function reportEvaluation(
  { validCount }: Pick<Rules, 'validCount'>,
  { generation, reports, progress }: Begun,
  rank: number,
  report: Evaluation,
): Advance {
  const { epoch } = report;
  const answered = addAnswer(reports.evaluations, epoch, rank, report, generation.places.length);
  if (answered.repeated) throw violation(generation, rank, `the evaluation of epoch ${epoch} twice`);
  const next = { ...reports, evaluations: answered.answers };
  if (answered.complete === null) return { reports: next, progress, effects: [] };
  const value = mergeEvaluation(generation.places, answered.complete, validCount);
  return {
    reports: next,
    progress: { ...progress, evaluatedEpoch: epoch, fruitless: 0 },
    effects: [{ kind: 'evaluated', value }],
  };
}

/**
 * A rank's digest of a state that all ranks hold.
 *
 * @throws RondoError data-loss, naming who differs, when the replicas are not identical.
 */
function reportState(
  { generation, reports, progress }: Begun,
  rank: number,
  report: EpochCompleted,
): Advance {
  const { epoch, whole, stopped, stateDigest, parameterDigest } = report;
  const step = Number(report.step);
  const answered = addAnswer(reports.states, step, rank, report, generation.places.length);
  if (answered.repeated) throw violation(generation, rank, `the state after step ${step} twice`);
  const next = { ...reports, states: answered.answers };
  if (answered.complete === null) return { reports: next, progress, effects: [] };

  requireAgreement(
    generation.places,
    answered.complete.map(
      (r) =>
        `state ${r.stateDigest}, parameters ${r.parameterDigest}${r.whole ? '' : ' inside the epoch'}${r.stopped ? ' (stopped)' : ''}`,
    ),
    whole ? `the replicas differ at the end of epoch ${epoch}` : `the replicas differ after step ${step}`,
  );
  // A worker may digest its snapshot while it goes on; it cannot hold a state that it has not reached.
  if (step > progress.committed) {
    throw violation(generation, rank, `the state after step ${step}, with ${progress.committed} committed`);
  }
  const value = {
    ...{ epoch, step, whole, stopped, stateDigest, parameterDigest, generation: generation.number },
    holders: generation.places.map(({ address, workerId }) => ({ address, workerId })),
  };
  return {
    reports: { ...next, keptStep: step },
    progress: whole ? { ...progress, digestedEpoch: epoch } : progress,
    effects: [{ kind: 'epochCompleted', value }],
  };
}

/**
 * A rank reports that it takes no more steps; the run's result when it was the last one.
 *
 * @throws RondoError data-loss when the ranks end at different steps, something they owe is missing, or a run
 *   that leaves states as they were has not.
 */
export function reportFinished(
  { restoresState }: Pick<Rules, 'restoresState'>,
  generation: Generation,
  reports: Reports,
  rank: number,
  report: Finished,
): { reports: Reports; result: RunResult | null } {
  const answered = addAnswer(reports.finished, 0, rank, report, generation.places.length);
  if (answered.repeated) throw violation(generation, rank, 'twice that it has finished');
  const step = Number(report.step);
  const due = reports.reported[rank]!;
  if (step !== due) throw violation(generation, rank, `its end after step ${step}, having taken ${due}`);
  const next = { ...reports, finished: answered.answers };
  if (answered.complete === null) return { reports: next, result: null };

  requireAgreement(
    generation.places,
    answered.complete.map((r) => `step ${r.step}${r.stopped ? ' (stopped)' : ''}`),
    'the workers end at different steps',
  );
  if (restoresState) requireRestored(generation, reports.startDigest, answered.complete);
  const owed = [
    ...[...next.evaluations.keys()].map((epoch) => `an evaluation of epoch ${epoch}`),
    ...[...next.states.keys()].map((after) => `a digest of the state after step ${after}`),
  ];
  if (owed.length > 0) {
    throw new RondoError('data-loss', `the workers finished, but some still owe ${owed[0]}`);
  }
  const metrics = { published: 0, dropped: 0 };
  for (const { metrics: counted } of answered.complete) {
    metrics.published += Number(counted?.published ?? 0n);
    metrics.dropped += Number(counted?.dropped ?? 0n);
  }
  const restored = restoresState ? { restoredDigest: report.stateDigest } : {};
  const result = { step, stopped: report.stopped, stateLost: false, metrics, ...restored };
  return { reports: next, result };
}

function requireRestored(generation: Generation, digest: string, reports: readonly Finished[]): void {
  const changed = generation.places.filter(({ rank }) => reports[rank]!.stateDigest !== digest);
  if (changed.length === 0) return;
  throw new RondoError(
    'data-loss',
    `the state of ${changed.map(nameWorker).join(', ')} is not the one that the run began with, ${digest}`,
    {
      remedy: 'no run and no checkpoint has changed; try again, and look at that worker’s device and memory',
    },
  );
}

/** What a rank says of its part of a step or of an epoch's end; null for a message of another kind or generation. */
export function reportBy(
  rules: Rules,
  begun: Begun,
  rank: number,
  message: NonNullable<WorkerMessage['message']>,
): Advance | null {
  const { generation } = begun;
  if (!('rank' in message.value) || message.value.generation !== generation.number) return null;
  if (message.value.rank !== rank) {
    throw violation(generation, rank, `${message.$case} as rank ${message.value.rank}`);
  }
  if (message.$case === 'stepCommitted') return reportStep(rules, begun, rank, message.value);
  if (message.$case === 'evaluation') return reportEvaluation(rules, begun, rank, message.value);
  return message.$case === 'epochCompleted' ? reportState(begun, rank, message.value) : null;
}
