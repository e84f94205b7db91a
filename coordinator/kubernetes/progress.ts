import { z } from 'zod';
import { RondoError } from '../../runtime/errors.js';
import { log } from '../../runtime/log.js';
import { describeCauses, type RunEvent } from '../telemetry/run-events.js';
import type { KubernetesApi } from './api.js';
import type { Workload } from './workload.js';

/** No more than one patch in so long. */
const annotateMs = 10_000;
/** Of an event's message, by the API. */
const maxMessage = 1_024;

/** Shows in `kubectl describe` of a Job or StatefulSet how a run is doing: annotations, and Events for what happens to it. */
export interface KubernetesProgress {
  hear(event: RunEvent): void;
  /** Sends what is not sent yet. Never rejects. */
  close(): Promise<void>;
}

export function showProgress(
  api: KubernetesApi,
  workload: Workload,
  o: { readonly podName: string; readonly everyMs?: number },
): KubernetesProgress {
  const { everyMs = annotateMs } = o;
  let annotations: Record<string, string> = {};
  let timer: NodeJS.Timeout | null = null;
  let lastAtMs = Number.NEGATIVE_INFINITY;
  /** One call after the other: what is late is late. */
  let sent: Promise<unknown> = Promise.resolve();
  let plan = { steps: 0, epochs: 0 };
  const send = (call: () => Promise<unknown>) => {
    sent = sent
      .then(call)
      .catch((thrown) => log('warn', 'kubernetes not told', { reason: RondoError.from(thrown).message }));
  };
  const flush = () => {
    timer = null;
    lastAtMs = performance.now();
    const now = annotations;
    send(() => workload.annotate(now));
  };
  const annotate = (more: Record<string, string>) => {
    annotations = { ...annotations, ...more };
    timer ??= setTimeout(flush, Math.max(0, lastAtMs + everyMs - performance.now()));
  };
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string) => {
    const now = new Date().toISOString();
    const { apiVersion, kind, name, uid } = workload;
    const { namespace } = api;
    const body = {
      ...{ apiVersion: 'v1', kind: 'Event', type, reason, message: message.slice(0, maxMessage), count: 1 },
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: { apiVersion, kind, name, uid, namespace },
      ...{ firstTimestamp: now, lastTimestamp: now },
      ...{ source: { component: 'rondo' }, reportingComponent: 'rondo', reportingInstance: o.podName },
    };
    send(() => api.create(`/api/v1/namespaces/${namespace}/events`, body, z.unknown()));
  };
  return {
    hear(event) {
      switch (event.kind) {
        case 'prepared':
          plan = { steps: event.epochs * event.stepsPerEpoch, epochs: event.epochs };
          annotate({ 'rondo/run': event.runId, 'rondo/step': `${event.startStep} of ${plan.steps}` });
          break;
        case 'assigned': {
          const { length } = event.workers;
          const who = length === 1 ? '1 worker trains' : `${length} workers train`;
          tell('Normal', 'Training', `${who}, generation ${event.generation}`);
          break;
        }
        case 'step':
          annotate({
            'rondo/step': `${event.step + 1} of ${plan.steps}`,
            'rondo/epoch': `${event.epoch + 1} of ${plan.epochs}`,
            'rondo/loss': event.loss === null ? 'not finite' : event.loss.toPrecision(4),
            'rondo/eta': new Date(
              Date.now() + 1_000 * event.seconds * Math.max(0, plan.steps - event.step - 1),
            ).toISOString(),
          });
          break;
        case 'epoch':
          if (event.error_rate !== null) annotate({ 'rondo/error-rate': event.error_rate.toFixed(4) });
          break;
        case 'checkpoint':
          annotate({ 'rondo/checkpoint': event.name });
          break;
        case 'worker-lost':
          tell('Warning', 'WorkerLost', `${event.worker} at step ${event.step}: ${event.reason}`);
          break;
        case 'recovered':
          tell(
            'Normal',
            'GoingOn',
            `with ${event.worldSize} workers at step ${event.step} after ${event.seconds.toFixed(1)} s: ${describeCauses(event.causes)}`,
          );
          break;
        case 'short':
          tell(
            'Normal',
            'Waiting',
            `${event.workers} of the ${event.needed} workers that the run needs are there`,
          );
          break;
        case 'rolled-back':
          // Where all left in order, as those of a suspended Job, their last step was saved.
          if (event.toStep === event.fromStep)
            tell('Normal', 'Saved', `step ${event.toStep}, after which no worker was left`);
          else
            tell(
              'Warning',
              'RolledBack',
              `from step ${event.fromStep} to ${event.toStep}: no worker held the state`,
            );
          break;
        case 'warning':
          tell('Warning', 'Warned', event.text);
          break;
        case 'summary':
          annotate({ 'rondo/status': event.status });
          tell(
            event.status === 'failed' ? 'Warning' : 'Normal',
            'Ended',
            `${event.status} after ${event.steps} of ${event.totalSteps} steps${event.error === null ? '' : `: ${event.error.message}`}`,
          );
          break;
        default:
      }
    },
    async close() {
      if (timer !== null) {
        clearTimeout(timer);
        flush();
      }
      await sent;
    },
  };
}
