import { addLogFields, type LoggedLevel, log } from '../../runtime/log.js';
import type { RunEvent } from './run-events.js';

/** Writes an event of a run to this process's log, for machines and for those who look for a fault. */
export function logEvent(event: RunEvent): void {
  if (event.kind === 'prepared') addLogFields({ run: event.runId });
  log(levelOf(event), event.kind, detailsOf(event));
}

function levelOf(event: RunEvent): LoggedLevel {
  switch (event.kind) {
    case 'step':
    case 'dataset':
      return 'debug';
    case 'warning':
    case 'quarantined':
    case 'worker-lost':
      return 'warn';
    case 'summary':
      return event.status === 'failed' ? 'error' : 'info';
    default:
      return 'info';
  }
}

function detailsOf(event: RunEvent): Readonly<Record<string, unknown>> {
  if (event.kind !== 'summary') {
    const { kind: _, ...details } = event;
    return details;
  }
  // What is long stands in summary.json.
  const { status, steps, totalSteps, wallSeconds, parameterDigest, recoveries, error } = event;
  return { status, steps, totalSteps, wallSeconds, parameterDigest, recoveries, error };
}
