import type { ClusterListener } from '../membership/cluster-events.js';
import type { Effect } from '../membership/membership-events.js';
import type { Sessions } from './session-service.js';

/** Does what an effect asks of a session; false for one that asks nothing of any. */
export function tellWorker(sessions: Sessions, effect: Effect): boolean {
  switch (effect.kind) {
    case 'send':
      sessions.send(effect.session, effect.message);
      return true;
    case 'dismiss':
      sessions.dismiss(effect.session, effect.ok, effect.reason);
      return true;
    case 'refuse':
      sessions.refuse(effect.session, effect.error);
      return true;
    default:
      return false;
  }
}

export function tellListener(listener: ClusterListener, effect: Effect): void {
  if (effect.kind === 'decided') listener.decided(effect.value);
  if (effect.kind === 'assigned') listener.assigned(effect.generation.number, effect.generation.places);
  if (effect.kind === 'ready') listener.ready(effect.value);
  if (effect.kind === 'stepCommitted') listener.stepCommitted(effect.value);
  if (effect.kind === 'evaluating') listener.evaluating(effect.rank, effect.images);
  if (effect.kind === 'evaluated') listener.evaluated(effect.value);
  if (effect.kind === 'epochCompleted') listener.epochCompleted(effect.value);
  if (effect.kind === 'workerLost') listener.workerLost(effect.value);
  if (effect.kind === 'recovered') listener.recovered(effect.value);
  if (effect.kind === 'short') listener.short(effect.workers, effect.needed);
  if (effect.kind === 'warning') listener.warning(effect.text);
}
