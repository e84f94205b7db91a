import { type MetricsOutbox, openMetricsOutbox } from '../../runtime/metrics-outbox.js';
import type { NatsMember } from '../../runtime/nats-session.js';

export type MetricsPublisher = MetricsOutbox;

/**
 * Publishes a worker's metrics. They reach the coordinator once and in order, unless the server is away for
 * so long that the oldest are dropped, which is counted. `url` is empty when metrics are off.
 *
 * @param o.capacity how many metrics wait while there is no server.
 */
export function openPublisher(o: {
  url: string;
  token: string;
  runId: string;
  workerId: string;
  member?: NatsMember | undefined;
  capacity?: number;
}): MetricsPublisher {
  return openMetricsOutbox({ ...o, name: `${o.runId} worker ${o.workerId}` });
}
