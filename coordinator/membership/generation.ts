import type { Division } from '../../plan/micro-batches.js';
import { StateSource } from '../../proto/gen/coordinator.js';
import type { BegunGeneration } from './cluster-events.js';
import type { Effect, Transition } from './membership-events.js';
import type {
  Candidate,
  Change,
  EndedGeneration,
  Gathering,
  Generation,
  Member,
  Preparing,
  Progress,
  Start,
  StateOrigin,
} from './membership-state.js';
import { orderRanks } from './rank-order.js';
import type { Rules } from './rules.js';
import { beginPace } from './stall.js';

const stateSources: Record<StateOrigin['kind'], StateSource> = {
  fresh: StateSource.STATE_SOURCE_FRESH,
  checkpoint: StateSource.STATE_SOURCE_CHECKPOINT,
  own: StateSource.STATE_SOURCE_OWN,
  peer: StateSource.STATE_SOURCE_PEER,
};

/** Candidates that a generation can take, in the order of their ranks. */
export function findReady(candidates: readonly Candidate[]): Candidate[] {
  return orderRanks(candidates.filter(({ readiness, leaving }) => readiness.kind === 'standby' && !leaving));
}

/**
 * Leaves gathering as soon as the run was started and there are workers enough: all of them at first, as many
 * as are needed when it is started again.
 */
export function formFirst(rules: Rules, state: Gathering, nowMs: number): Transition {
  const { start, lastGeneration, members, checkedAtMs } = state;
  const ready = findReady(members);
  const needed = neededBy(rules, state);
  if (start === null || ready.length < needed) return { state, effects: [] };
  const generation = {
    ...{ number: lastGeneration + 1n, startStep: start.step, epochEndDue: false },
    startDivision: null,
    ...placeRanks(rules, ready),
    ...{ origins: ready.map((): StateOrigin => ({ kind: start.source })) },
  };
  const closedEpoch = Math.floor(start.step / rules.stepsPerEpoch) - 1;
  const progress = {
    ...{ committed: start.step, fruitless: 0 },
    ...{ evaluatedEpoch: closedEpoch, digestedEpoch: closedEpoch },
  };
  const standby = members.filter((member) => !ready.includes(member));
  return prepare({
    ...{ checkedAtMs, generation, members: ready, standby, progress },
    ...{ start, change: null, ended: null, stopRequested: null, evaluationDivision: null, nowMs },
  });
}

/** Workers that are waited for. */
export function neededBy(
  { worldSize, minWorkers }: Rules,
  { isFirst, left }: Pick<Gathering, 'isFirst' | 'left'>,
): number {
  return isFirst ? Math.max(worldSize - left, minWorkers) : minWorkers;
}

/** Sends every rank its assignment. */
export function prepare(o: {
  readonly checkedAtMs: number;
  readonly generation: Generation;
  /** In rank order. */
  readonly members: readonly Candidate[];
  readonly standby: readonly Candidate[];
  readonly progress: Progress;
  readonly start: Start | null;
  readonly change: Change | null;
  readonly ended: EndedGeneration | null;
  readonly stopRequested: string | null;
  /** Of the evaluation of the state that the generation begins with, where that was begun before. */
  readonly evaluationDivision: Division | null;
  readonly nowMs: number;
}): Transition {
  const { generation, evaluationDivision, nowMs, ...kept } = o;
  const members = o.members.map(({ readiness: _, ...member }): Member => member);
  const state: Preparing = {
    ...kept,
    ...{ kind: 'preparing', generation, members, pace: beginPace(nowMs) },
    digests: members.map(() => null),
    copies: members.map(() => null),
  };
  const assignments = members.map(({ session }, rank): Effect => {
    const origin = generation.origins[rank]!;
    const startShare = generation.startDivision?.[rank];
    const partitions = generation.partitions?.[rank];
    const startEvaluation = evaluationDivision?.[rank];
    const value = {
      ...{ generation: generation.number, rank, worldSize: members.length },
      peerAddresses: generation.places.map(({ address }) => address),
      workerIds: generation.places.map(({ workerId }) => workerId),
      startStep: BigInt(generation.startStep),
      stateSource: stateSources[origin.kind],
      statePeerAddress: origin.kind === 'peer' ? origin.address : '',
      statePeerId: origin.kind === 'peer' ? origin.workerId : '',
      statePeerDigest: origin.kind === 'peer' ? origin.digest : '',
      epochEndDue: generation.epochEndDue,
      ...(startShare === undefined ? {} : { startShare: { microBatches: [...startShare] } }),
      ...(partitions === undefined ? {} : { partitions: { microBatches: [...partitions] } }),
      ...(startEvaluation === undefined ? {} : { startEvaluation: { microBatches: [...startEvaluation] } }),
    };
    return { kind: 'send', session, message: { message: { $case: 'assignment', value } } };
  });
  const begun = o.ended && describeBegun(o.ended.generation, o.ended.reports.startDigest);
  const decided: Effect = { kind: 'decided', value: { newest: generation.number, begun } };
  return { state, effects: [decided, { kind: 'assigned', generation }, ...assignments] };
}

export function describeBegun(generation: Generation, startDigest: string): BegunGeneration {
  const { number, startStep, epochEndDue, startDivision, partitions, places } = generation;
  return { number, startStep, epochEndDue, startDivision, partitions, places, startDigest };
}

/** Who is of which rank, and which partitions are its own. */
export function placeRanks(
  { placePartitions }: Rules,
  members: readonly Member[],
): Pick<Generation, 'places' | 'partitions'> {
  return {
    places: members.map(({ workerId, address, pid, host }, rank) => ({ workerId, rank, address, pid, host })),
    partitions: placePartitions(members.map(({ host }) => host)),
  };
}
