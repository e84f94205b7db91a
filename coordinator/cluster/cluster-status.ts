import { Activity } from '../../proto/gen/coordinator.js';
import type { MemberStatus, RunStatus } from '../../proto/run-status.js';
import { generationOf } from '../membership/end.js';
import { candidatesOf } from '../membership/members.js';
import type { Candidate, Member, Membership } from '../membership/membership-state.js';
import { findSlow } from './slow-workers.js';
import type { WorkerFigures } from './worker-figures.js';

/** What a cluster says of itself. */
export type ClusterStatus = Pick<RunStatus, 'phase' | 'generation' | 'worldSize'> & {
  readonly members: readonly Omit<MemberStatus, 'local'>[];
};

const phases: Record<Membership['kind'], RunStatus['phase']> = {
  ...{ gathering: 'gathering', preparing: 'preparing', running: 'training', stopping: 'stopping' },
  ...{ regrouping: 'regrouping', finished: 'ended', failed: 'ended' },
};

const activities: Partial<Record<Activity, MemberStatus['state']>> = {
  [Activity.ACTIVITY_COMPUTING]: 'computing',
  [Activity.ACTIVITY_LOADING]: 'reading images',
  [Activity.ACTIVITY_WAITING]: 'waiting',
};

export function describeCluster(state: Membership, figures: WorkerFigures, nowMs: number): ClusterStatus {
  const phase = phases[state.kind];
  if (state.kind === 'failed') return { phase, generation: 0, worldSize: 0, members: [] };
  const hasRanks = 'generation' in state;
  const ranked = hasRanks ? state.members : [];
  const slow = findSlow(ranked.map(({ session }) => figures.of(session)));
  const describe = (member: Member, rank: number | null): Omit<MemberStatus, 'local'> => ({
    ...{ worker: member.workerId, rank, host: member.host, pid: member.pid },
    state: member.leaving ? 'leaving' : stateOf(member, rank),
    silentSeconds: Math.max(0, nowMs - member.heardAtMs) / 1_000,
    ...figures.of(member.session),
    slow: rank === null ? null : slow[rank]!,
  });
  const members = [
    ...ranked.map((member, rank) => describe(member, rank)),
    ...candidatesOf(state).map((member) => describe(member, null)),
  ];
  return { phase, generation: Number(generationOf(state)), worldSize: ranked.length, members };
}

function stateOf(member: Member | Candidate, rank: number | null): MemberStatus['state'] {
  if (rank === null && 'readiness' in member) {
    if (member.readiness.kind === 'opening') return 'opening';
    if (member.readiness.kind === 'standby') return 'standing by';
  }
  return activities[member.activity] ?? 'unknown';
}
