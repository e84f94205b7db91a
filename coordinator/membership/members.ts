import type { Alive, Candidate } from './membership-state.js';

export function candidatesOf(state: Alive): readonly Candidate[] {
  return 'standby' in state ? state.standby : state.members;
}

/** A member takes the place of the one with its session. */
export function replaceMember<State extends Alive>(state: State, changed: State['members'][number]): State {
  const put = <Kind extends { readonly session: number }>(members: readonly Kind[]) =>
    members.map((member) => (member.session === changed.session ? { ...member, ...changed } : member));
  const members = put(state.members);
  return 'standby' in state ? { ...state, members, standby: put(state.standby) } : { ...state, members };
}
