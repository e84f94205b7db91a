import type { Effect, Transition } from './membership-events.js';
import type { Candidate, Member, Regrouping, Running } from './membership-state.js';
import type { Rules } from './rules.js';
import { beginPace } from './stall.js';
import { askToStop, considerChange, interruption, tell } from './stop.js';

/**
 * Everybody whom a coordinator that died has left behind is back, or lost. Where all ranks still train, nothing
 * happened to them; else the generation is over, as after any interruption.
 */
export function goOn(rules: Rules, state: Regrouping, nowMs: number): Transition {
  const { checkedAtMs, members, ended, progress, change, stopRequested, interrupted } = state;
  const { generation, reports } = ended!;
  const ranks = generation.places.flatMap(({ workerId }) => {
    const back = members.find((member) => member.workerId === workerId);
    return back?.readiness.kind === 'attached' && back.readiness.training ? [back] : [];
  });
  if (ranks.length < generation.places.length) {
    const isBack = ({ readiness }: Candidate) => readiness.kind === 'attached';
    const message = interruption(members, interrupted.number);
    const asked = members.map((member): Candidate => {
      return isBack(member) ? { ...member, readiness: { kind: 'interrupted' } } : member;
    });
    const cutStep = change.cutStep || ranks.length > 0;
    return {
      state: { ...state, members: asked, change: { ...change, cutStep } },
      effects: tell(members.filter(isBack), message),
    };
  }
  const recovered: Effect = {
    kind: 'recovered',
    value: {
      ...{ generation: generation.number, worldSize: ranks.length, step: progress.committed },
      ...{ causes: change.causes, seconds: (nowMs - change.sinceMs) / 1_000, stepsRedone: 0, copies: [] },
    },
  };
  const running: Running = {
    ...{ kind: 'running', checkedAtMs, generation, reports, progress, change: null, pace: beginPace(nowMs) },
    members: ranks.map(({ readiness: _, ...member }): Member => member),
    standby: members.filter((member) => !ranks.includes(member)),
  };
  const next =
    stopRequested === null ? considerChange(rules, running, nowMs) : askToStop(running, stopRequested);
  return { state: next.state, effects: [recovered, ...next.effects] };
}
