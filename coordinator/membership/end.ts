import type { RondoError } from '../../runtime/errors.js';
import type { Effect, RunResult, Transition } from './membership-events.js';
import type { Alive, Candidate, Membership } from './membership-state.js';

/** Ends the run: all workers are dismissed, `run` rejects. */
export function fail(state: Membership, error: RondoError, effects: readonly Effect[] = []): Transition {
  if (state.kind === 'finished' || state.kind === 'failed') return { state, effects };
  return {
    state: { kind: 'failed', checkedAtMs: state.checkedAtMs, error },
    effects: [...effects, ...dismissAll(state, false, error.message), { kind: 'rejected', error }],
  };
}

export function dismissAll(
  state: Exclude<Membership, { kind: 'failed' }>,
  ok: boolean,
  reason: string,
): Effect[] {
  const standby = 'standby' in state ? state.standby : [];
  return [...state.members, ...standby].map(({ session }) => ({ kind: 'dismiss', session, ok, reason }));
}

/** Every rank has finished; the members wait for another start, or for Goodbye. */
export function finish(state: Alive, result: RunResult): Transition {
  const { checkedAtMs } = state;
  const members: Candidate[] =
    'standby' in state
      ? [
          ...state.members.map((member) => {
            return { ...member, readiness: { kind: 'standby', held: null } as const };
          }),
          ...state.standby,
        ]
      : [...state.members];
  return {
    state: { kind: 'finished', checkedAtMs, lastGeneration: generationOf(state), members },
    effects: [{ kind: 'resolved', result }],
  };
}

export function generationOf(state: Alive): bigint {
  if (state.kind === 'regrouping') return state.interrupted.number;
  return 'generation' in state ? state.generation.number : state.lastGeneration;
}
