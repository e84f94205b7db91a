import type { CoordinatorMessage } from '../../proto/gen/coordinator.js';
import type { ChangeCause } from '../telemetry/run-events.js';
import { findReady } from './generation.js';
import type { Effect, Transition } from './membership-events.js';
import type { Member, Running, Stopping } from './membership-state.js';
import type { Rules } from './rules.js';

type Message = NonNullable<CoordinatorMessage['message']>;

/** Every rank finishes its step, then the run ends with the state that they hold. */
export function askToStop(
  state: Running | Stopping,
  reason: string,
): { state: Stopping; effects: readonly Effect[] } {
  const value = { generation: state.generation.number, reason, keepsState: true };
  return {
    state: { ...state, kind: 'stopping', purpose: { kind: 'end', reason } },
    effects: tell(state.members, { $case: 'stop', value }),
  };
}

/** The same of ranks that are stopping already: where the membership was to change, they are told to keep their state. */
export function endInstead(state: Stopping, reason: string): { state: Stopping; effects: readonly Effect[] } {
  const { change } = state.purpose;
  const next: Stopping = { ...state, purpose: { kind: 'end', reason, ...(change && { change }) } };
  return { state: next, effects: state.purpose.kind === 'end' ? [] : askToStop(state, reason).effects };
}

/**
 * Has a running generation end with the step under way when a worker waits to take part, or wants to leave.
 */
export function considerChange(rules: Rules, state: Running, nowMs: number): Transition {
  const leaving = state.members.filter((member) => member.leaving);
  const joining = findReady(state.standby);
  if (leaving.length + joining.length === 0 || rules.restoresState) return { state, effects: [] };
  const causes: ChangeCause[] = [
    ...leaving.map(({ workerId }) => ({ kind: 'leave' as const, workerId })),
    ...joining.map(({ workerId }) => ({ kind: 'join' as const, workerId })),
  ];
  const change = { causes, sinceMs: nowMs, cutStep: false };
  return {
    state: { ...state, kind: 'stopping', purpose: { kind: 'regroup', change } },
    effects: tellToStop(state),
  };
}

/** The state that a stop leaves is not saved when only the membership changes, unless nobody would hold it. */
export function tellToStop({ generation, members }: Running | Stopping): readonly Effect[] {
  const keepsState = members.every(({ leaving }) => leaving);
  const value = { generation: generation.number, reason: 'the membership changes', keepsState };
  return tell(members, { $case: 'stop', value });
}

/** Has a generation end where it is: at once where one of `members` waits to leave. */
export function interruption(members: readonly Member[], generation: bigint): Message {
  const atOnce = members.some(({ leaving }) => leaving);
  return { $case: 'interrupt', value: { generation, atOnce } };
}

export function tell(members: readonly { readonly session: number }[], message: Message): readonly Effect[] {
  return members.map(({ session }): Effect => ({ kind: 'send', session, message: { message } }));
}
