import type { EpochCompleted, Evaluation, Finished, StepCommitted } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { largest } from '../../runtime/extremes.js';
import { addAnswer } from './answers-by-rank.js';
import { describeDisagreement, nameWorker } from './disagreement.js';
import type { Effect, Generation, Reports, Rules, RunResult } from './membership-state.js';
import { mergeEvaluation } from './merge-evaluation.js';

interface Advance {
  readonly reports: Reports;
  readonly effects: readonly Effect[];
}

const differRemedy =
  'resume from the last checkpoint; should the same worker differ again, look at its device and its memory';

/** Nothing reported yet; all begin with the state of `startDigest`. */
export function noReports(generation: Generation, startDigest: string): Reports {
  return {
    startDigest,
    committed: generation.startStep,
    reported: generation.places.map(() => generation.startStep),
    steps: new Map(),
    evaluations: new Map(),
    epochs: new Map(),
    finished: new Map(),
  };
}

/**
 * A rank reports that it took a step. The step is committed when all ranks have said so, with the same
 * numbers.
 *
 * @throws RondoError data-loss when they differ, internal when a rank skips or repeats a step.
 */
export function reportStep(
  generation: Generation,
  reports: Reports,
  rank: number,
  report: StepCommitted,
): Advance {
  const step = Number(report.step);
  const due = reports.reported[rank]!;
  if (step !== due) throw violation(generation, rank, `step ${step} where step ${due} was due`);
  const { answers, complete } = addAnswer(reports.steps, step, rank, report, generation.places.length);
  const next = { ...reports, steps: answers, reported: reports.reported.with(rank, step + 1) };
  if (complete === null) return { reports: next, effects: [] };

  requireAgreement(
    generation,
    complete.map((r) => `loss ${r.loss}, ${r.correct} of ${r.samples} right${r.skipped ? ', skipped' : ''}`),
    `the workers disagree about step ${step}`,
  );
  const { loss, correct, samples, skipped } = report;
  const shares = complete.map((r) => Uint32Array.from(r.sampleIds));
  const shared = shares.reduce((sum, share) => sum + share.length, 0);
  if (shared !== samples) {
    throw new RondoError('data-loss', `step ${step} counted ${samples} samples, its shares hold ${shared}`);
  }
  const value = {
    generation: generation.number,
    worldSize: generation.places.length,
    step,
    loss,
    correct,
    samples,
    skipped,
    seconds: largest(complete.map((r) => r.seconds)),
    shares,
  };
  return { reports: { ...next, committed: step + 1 }, effects: [{ kind: 'stepCommitted', value }] };
}

/**
 * A rank's share of an evaluation.
 *
 * @throws RondoError data-loss when the shares do not make a whole.
 */
export function reportEvaluation(
  generation: Generation,
  reports: Reports,
  rank: number,
  report: Evaluation,
  validCount: number,
): Advance {
  const { epoch } = report;
  const answered = addAnswer(reports.evaluations, epoch, rank, report, generation.places.length);
  if (answered.repeated) throw violation(generation, rank, `the evaluation of epoch ${epoch} twice`);
  const next = { ...reports, evaluations: answered.answers };
  if (answered.complete === null) return { reports: next, effects: [] };
  const value = mergeEvaluation(generation.places, answered.complete, validCount);
  return { reports: next, effects: [{ kind: 'evaluated', value }] };
}

/**
 * A rank's digest at the end of an epoch.
 *
 * @throws RondoError data-loss, naming who differs, when the replicas are not identical.
 */
export function reportEpoch(
  generation: Generation,
  reports: Reports,
  rank: number,
  report: EpochCompleted,
): Advance {
  const { epoch, whole, stateDigest, parameterDigest } = report;
  const answered = addAnswer(reports.epochs, epoch, rank, report, generation.places.length);
  if (answered.repeated) throw violation(generation, rank, `the end of epoch ${epoch} twice`);
  const next = { ...reports, epochs: answered.answers };
  if (answered.complete === null) return { reports: next, effects: [] };

  requireAgreement(
    generation,
    answered.complete.map(
      (r) =>
        `state ${r.stateDigest}, parameters ${r.parameterDigest} after step ${r.step}${r.whole ? '' : ' (stopped)'}`,
    ),
    `the replicas differ at the end of epoch ${epoch}`,
  );
  const step = Number(report.step);
  // A worker may digest its snapshot while it goes on; it cannot end an epoch that it has not reached.
  if (step > reports.committed) {
    throw violation(
      generation,
      rank,
      `epoch ${epoch} after step ${step}, with ${reports.committed} committed`,
    );
  }
  const holderAddress = generation.places[0]!.address;
  const value = {
    epoch,
    step,
    whole,
    stateDigest,
    parameterDigest,
    holderAddress,
    generation: generation.number,
  };
  return { reports: next, effects: [{ kind: 'epochCompleted', value }] };
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
    generation,
    answered.complete.map((r) => `step ${r.step}${r.stopped ? ' (stopped)' : ''}`),
    'the workers end at different steps',
  );
  if (restoresState) requireRestored(generation, reports.startDigest, answered.complete);
  const open = [...next.evaluations.keys(), ...next.epochs.keys()];
  if (open.length > 0) {
    throw new RondoError(
      'data-loss',
      `the workers finished, but some left epoch ${open[0]} without a report`,
    );
  }
  const metrics = { published: 0, dropped: 0 };
  for (const { metrics: counted } of answered.complete) {
    metrics.published += Number(counted?.published ?? 0n);
    metrics.dropped += Number(counted?.dropped ?? 0n);
  }
  const restored = restoresState ? { restoredDigest: report.stateDigest } : {};
  return { reports: next, result: { step, stopped: report.stopped, metrics, ...restored } };
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

/** Refuses to go on unless every rank said the same. */
export function requireAgreement(generation: Generation, values: readonly string[], what: string): void {
  const difference = describeDisagreement(generation.places, values);
  if (difference !== null) {
    throw new RondoError('data-loss', `${what}: ${difference}`, { remedy: differRemedy });
  }
}

/** A message that breaks the protocol. */
export function violation(generation: Generation, rank: number, what: string): RondoError {
  return new RondoError('internal', `${nameWorker(generation.places[rank]!)} reported ${what}`);
}
