import type { WorkerMessage } from '../../proto/gen/coordinator.js';
import type { CopiedState } from '../telemetry/run-events.js';
import type { Recovery } from './cluster-events.js';
import { requireAgreement, violation } from './disagreement.js';
import { describeBegun } from './generation.js';
import type { Effect, Transition } from './membership-events.js';
import type { Preparing, Running } from './membership-state.js';
import { sayGoodbye, stepsToCommit } from './regrouping.js';
import { noReports } from './reports.js';
import type { Rules } from './rules.js';
import { askToStop, considerChange, tell } from './stop.js';

type Message = NonNullable<WorkerMessage['message']>;

/** A rank says that it is ready; when all are, they go on. */
export function hearReady(
  rules: Rules,
  before: Preparing,
  rank: number,
  message: Message,
  nowMs: number,
): Transition {
  const { generation } = before;
  if (message.$case !== 'ready') throw violation(generation, rank, `${message.$case} before Begin`);
  const { stateDigest, step, kernels, copy } = message.value;
  if (Number(step) !== generation.startStep) {
    throw violation(generation, rank, `being ready at step ${step}, not at step ${generation.startStep}`);
  }
  if (kernels === undefined) throw violation(generation, rank, 'being ready without its kernels');
  const said = before.digests[rank]!;
  if (said !== null && said !== stateDigest) throw violation(generation, rank, 'two different digests');
  const place = generation.places[rank]!;
  const ready: Effect = { kind: 'ready', value: { ...place, generation: generation.number, kernels } };
  const digests = before.digests.with(rank, stateDigest);
  const state: Preparing = { ...before, digests, copies: before.copies.with(rank, copy ?? null) };
  const present = digests.filter((digest) => digest !== null);
  if (present.length < digests.length) return { state, effects: [ready] };
  const text = `the workers do not start step ${step} from the same state`;
  requireAgreement(generation.places, present, text);
  const begun = begin(rules, state, stateDigest, nowMs);
  return { state: begun.state, effects: [ready, ...begun.effects] };
}

/** Every rank is ready: what their state contains is committed, and they go on. */
function begin(rules: Rules, before: Preparing, stateDigest: string, nowMs: number): Transition {
  const { generation, members, checkedAtMs, pace, change, stopRequested } = before;
  const commits = stepsToCommit(rules, before).map((value): Effect => ({ kind: 'stepCommitted', value }));
  const recoveries: Effect[] =
    change === null ? [] : [{ kind: 'recovered', value: describeRecovery(before, nowMs) }];
  const leavers = before.standby.filter(({ leaving }) => leaving);
  const begun = describeBegun(generation, stateDigest);
  const decided: Effect = { kind: 'decided', value: { newest: generation.number, begun } };
  const value = { generation: generation.number };
  const effects = [
    ...commits,
    ...recoveries,
    ...leavers.map(sayGoodbye),
    decided,
    ...tell(members, { $case: 'begin', value }),
  ];
  const state: Running = {
    ...{ kind: 'running', checkedAtMs, generation, members, pace, change },
    standby: before.standby.filter(({ leaving }) => !leaving),
    progress: { ...before.progress, committed: generation.startStep },
    reports: noReports(generation, stateDigest),
  };
  const next = stopRequested === null ? considerChange(rules, state, nowMs) : askToStop(state, stopRequested);
  return { state: next.state, effects: [...effects, ...next.effects] };
}

function describeRecovery(state: Preparing, nowMs: number): Recovery {
  const { generation, change, copies, ended, progress } = state;
  const { causes, sinceMs, cutStep } = change!;
  const { number, startStep: step, places, origins } = generation;
  const copied = copies.flatMap((copy, rank): CopiedState[] => {
    const origin = origins[rank]!;
    if (copy === null || origin.kind !== 'peer') return [];
    const { bytes, seconds } = copy;
    const megabytesPerSecond = Number(bytes) / 1e6 / Math.max(seconds, 1e-3);
    const [to, from] = [places[rank]!.workerId, origin.workerId];
    return [{ to, from, bytes: Number(bytes), seconds, megabytesPerSecond }];
  });
  const tookIt = ended !== null && step > progress.committed;
  return {
    ...{ generation: number, worldSize: places.length, step, causes, copies: copied },
    seconds: (nowMs - sinceMs) / 1_000,
    stepsRedone: cutStep && !tookIt && !generation.epochEndDue ? 1 : 0,
  };
}
