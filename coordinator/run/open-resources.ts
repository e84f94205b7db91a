import { withDeadline } from '../../runtime/deadline.js';
import type { LaunchedWorkers, MetricsCollector, MetricsServer, RunningCluster } from './services.js';

/** What a run has open; filled one by one, so that whatever is open can be closed at any moment. */
export interface Stage {
  server: MetricsServer | null;
  collector: MetricsCollector | null;
  cluster: RunningCluster | null;
  workers: LaunchedWorkers | null;
}

export interface Patience {
  /** For workers to take their leave and end by themselves. */
  readonly goodbyeMs: number;
  /** For each other thing to close. */
  readonly closeMs: number;
  /** For metrics that are still on their way. */
  readonly settleMs: number;
}

/** After a run that ended as it should: nothing is cut short. */
export const patient: Patience = { goodbyeMs: 10_000, closeMs: 5_000, settleMs: 1_000 };
/** After a failure: the person waits for the message. */
export const brisk: Patience = { goodbyeMs: 800, closeMs: 800, settleMs: 200 };

export function emptyStage(): Stage {
  return { server: null, collector: null, cluster: null, workers: null };
}

/** Workers first, so that their last metrics arrive; then what received them. Never rejects, always bounded. */
export async function closeStage(
  stage: Stage,
  ok: boolean,
  reason: string,
  patience: Patience,
): Promise<void> {
  const { server, collector, cluster, workers } = stage;
  const { goodbyeMs, closeMs, settleMs } = patience;
  if (cluster !== null) {
    const closed = await inTime(cluster.close(ok, reason), goodbyeMs);
    if (!closed) cluster.destroy();
  }
  if (workers !== null) {
    await inTime(workers.exited, ok ? goodbyeMs : 0);
    const closed = await inTime(workers.close(closeMs), 2 * closeMs);
    if (!closed) workers.destroy();
  }
  if (collector !== null) await inTime(collector.close({ settleMs }), settleMs + closeMs);
  if (server !== null) {
    const closed = await inTime(server.close(), closeMs);
    if (!closed) server.destroy();
  }
}

/** Synchronous: for a process that is about to exit. */
export function destroyStage({ server, cluster, workers }: Stage): void {
  workers?.destroy();
  cluster?.destroy();
  server?.destroy();
}

async function inTime(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return withDeadline(work, { timeoutMs, what: 'closing' }).then(
    () => true,
    () => false,
  );
}
