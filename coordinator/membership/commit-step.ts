import { divideStep, samplesAt } from '../../plan/phases.js';
import type { StepCommitted } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { largest } from '../../runtime/extremes.js';
import type { CommittedStep } from './cluster-events.js';
import { requireAgreement } from './disagreement.js';
import type { Generation, Reports } from './membership-state.js';
import type { Rules } from './rules.js';

/** A step that an adopted state contains, though not every rank lived to say that it took it. */
export function commitFromSome(
  rules: Pick<Rules, 'planOf'>,
  generation: Generation,
  reports: Reports,
  step: number,
): CommittedStep {
  return commitStep(rules, generation, step, reports.steps.get(step) ?? []);
}

/** The step that these answers, by rank, are of; null for a rank that did not answer. */
export function commitStep(
  rules: Pick<Rules, 'planOf'>,
  generation: Generation,
  step: number,
  answers: readonly (StepCommitted | null)[],
): CommittedStep {
  const places = generation.places.filter(({ rank }) => answers[rank] != null);
  const present = places.map(({ rank }) => answers[rank]!);
  const [report] = present;
  if (report === undefined) {
    throw new RondoError('internal', `nobody who holds the state after step ${step} reported that step`);
  }
  requireAgreement(
    places,
    present.map((r) => `loss ${r.loss}, ${r.correct} of ${r.samples} right${r.skipped ? ', skipped' : ''}`),
    `the workers disagree about step ${step}`,
  );
  const { loss, correct, samples, skipped } = report;
  const planned = places.length < generation.places.length ? plannedShares(rules, generation, step) : [];
  const shares = generation.places.map(({ rank }) => {
    const answer = answers[rank] ?? null;
    return answer === null ? planned[rank]! : Uint32Array.from(answer.sampleIds);
  });
  const shared = shares.reduce((sum, share) => sum + share.length, 0);
  if (shared !== samples) {
    throw new RondoError('data-loss', `step ${step} counted ${samples} samples, its shares hold ${shared}`);
  }
  return {
    generation: generation.number,
    worldSize: generation.places.length,
    ...{ step, loss, correct, samples, skipped, shares },
    seconds: largest(present.map((r) => r.seconds)),
  };
}

/** The sample ids of each rank, by the plan; of a generation's first step, as they were assigned. */
function plannedShares(
  { planOf }: Pick<Rules, 'planOf'>,
  { places, startStep, startDivision, partitions }: Generation,
  step: number,
): Uint32Array[] {
  const plan = planOf(step)!;
  const isAssigned = step === startStep && startDivision !== null;
  const division = isAssigned ? startDivision : divideStep(plan, places.length, partitions);
  return division.map((share) => samplesAt(plan, share));
}
