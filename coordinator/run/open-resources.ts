import { withDeadline } from '../../runtime/deadline.js';
import type { VerifierServer } from '../cluster/remote-verifiers.js';
import type { RunAccess } from '../cluster/run-access.js';
import type { LaunchedWorkers, MetricsCollector, MetricsServer, RunningCluster } from './services.js';

/** What a run has open; set one by one as they open, so that they can be closed at any moment. */
export interface OpenResources {
  server: MetricsServer | null;
  collector: MetricsCollector | null;
  cluster: RunningCluster | null;
  workers: LaunchedWorkers | null;
  /** `end` tells those who follow the run why it is over. */
  control: { readonly address: string; end(reason: string): void } | null;
  access: RunAccess | null;
  /** Serves those who wait for the run to begin. */
  early: VerifierServer | null;
}

/** How long closing waits, in milliseconds. */
export interface CloseDeadlines {
  /** For workers to end their sessions and exit by themselves. */
  readonly goodbyeMs: number;
  /** For each other thing to close. */
  readonly closeMs: number;
  /** For metrics that have not arrived yet. */
  readonly settleMs: number;
}

/** After a run that ended as it should: long enough for everything to finish. */
export const fullDeadlines: CloseDeadlines = { goodbyeMs: 10_000, closeMs: 5_000, settleMs: 1_000 };
/** After a failure: the user is waiting for the message. */
export const shortDeadlines: CloseDeadlines = { goodbyeMs: 800, closeMs: 800, settleMs: 200 };

export function noResources(): OpenResources {
  return {
    server: null,
    collector: null,
    cluster: null,
    workers: null,
    control: null,
    access: null,
    early: null,
  };
}

/**
 * Closes the workers first, so that their last metrics arrive, then what receives those. Never rejects, and
 * always ends within the deadlines.
 */
export async function closeResources(
  resources: OpenResources,
  ok: boolean,
  reason: string,
  deadlines: CloseDeadlines,
): Promise<void> {
  const { server, collector, cluster, workers, control, access, early } = resources;
  const { goodbyeMs, closeMs, settleMs } = deadlines;
  control?.end(reason);
  early?.destroy();
  if (cluster !== null) {
    const closed = await inTime(cluster.close(ok, reason), goodbyeMs);
    if (!closed) cluster.destroy();
  }
  access?.close();
  if (workers !== null) {
    await inTime(workers.exited(), ok ? goodbyeMs : 0);
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
export function destroyResources({ server, cluster, workers, control, access, early }: OpenResources): void {
  control?.end('the coordinator ended at once');
  workers?.destroy();
  early?.destroy();
  cluster?.destroy();
  access?.close();
  server?.destroy();
}

async function inTime(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return withDeadline(work, { timeoutMs, what: 'closing' }).then(
    () => true,
    () => false,
  );
}
