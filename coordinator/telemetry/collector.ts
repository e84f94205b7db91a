import type { NatsConnection } from 'nats';
import { type CoordinatorMetric, type Metric, metricSchema, subjects } from '../../proto/metrics.js';
import { sleep, withDeadline } from '../../runtime/deadline.js';
import { createDeferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import { openMetricsOutbox } from '../../runtime/metrics-outbox.js';
import { type NatsMember, openNatsSession, splitNatsUrl } from '../../runtime/nats-session.js';
import { parseJson } from '../../runtime/parse-json.js';
import { ensureStream, followStream } from './stream.js';

export interface Collector {
  /**
   * Takes one of the coordinator's own metrics; it comes back through `onMetric`, in its place among the
   * others.
   */
  publish(messageId: string, metric: CoordinatorMetric): void;
  /** `received` counts what went to `onMetric`; the others are those of the coordinator's own metrics. */
  counts(): { received: number; published: number; dropped: number };
  /**
   * Waits at most `settleMs` until everything that the stream holds by now has been received. To be called
   * when the workers have closed their publishers. May be called twice.
   */
  close(o: { settleMs: number }): Promise<void>;
}

const openTimeoutMs = 5000;
const ofPublisher = {
  remedy: 'publish nothing under the subjects of a run but what proto/metrics.ts describes',
};

/**
 * Creates the run's stream and hands every metric that reaches it from now on to `onMetric`, once and in the
 * stream's order. A server that dies costs nothing but delay when it comes back with its store.
 *
 * @throws RondoError unavailable when the server cannot be reached, or has no JetStream, within 5 s.
 * @param o.onRefused hears of each message that is no metric, such as another version's; it goes no further.
 * @param o.onMetric when it throws, collecting ends and `onFailure` is called with the error.
 */
export async function openCollector(o: {
  url: string;
  token: string;
  runId: string;
  member?: NatsMember | undefined;
  /** The number in the stream after which it begins; from now on unless given. */
  after?: number | null;
  onMetric(metric: Metric, sequence: number): void;
  onRefused?(error: RondoError): void;
  onFailure?(error: RondoError): void;
}): Promise<Collector> {
  const opened = createDeferred<void>();
  let trouble: RondoError | null = null;
  let failed = false;
  let received = 0;
  /** Sequence number of the last message taken; null until the stream says how far it is. */
  let position: number | null = o.after ?? null;
  let caughtUp: { readonly target: number; resolve(): void } | null = null;
  let current: NatsConnection | null = null;

  async function collect(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const last = await ensureStream(connection, o.runId);
    // A server that lost its store counts from 1 again.
    position = position === null ? last : position <= last ? position : 0;
    current = connection;
    opened.resolve();
    try {
      await followStream(connection, { runId: o.runId, after: position, signal, take });
    } finally {
      if (current === connection) current = null;
    }
  }

  function take(sequence: number, body: string): void {
    if (failed || sequence <= (position ?? 0)) return;
    position = sequence;
    const metric = read(sequence, body);
    if (metric !== null) hand(metric, sequence);
    if (caughtUp !== null && sequence >= caughtUp.target) caughtUp.resolve();
  }

  function read(sequence: number, body: string): Metric | null {
    try {
      return parseJson(metricSchema, body, {
        name: `message ${sequence} of the run's stream`,
        ...ofPublisher,
      });
    } catch (error) {
      o.onRefused?.(RondoError.from(error));
      return null;
    }
  }

  function hand(metric: Metric, sequence: number): void {
    try {
      o.onMetric(metric, sequence);
      received += 1;
    } catch (error) {
      failed = true;
      caughtUp?.resolve();
      o.onFailure?.(RondoError.from(error));
    }
  }

  /** Asks the stream how far it is, as soon as there is a connection, and waits to be there. */
  async function settle(signal: AbortSignal): Promise<void> {
    while (!failed && !signal.aborted) {
      if (current !== null) {
        const target = await ensureStream(current, o.runId).catch(() => Number.POSITIVE_INFINITY);
        if ((position ?? 0) >= target) return;
        const arrived = createDeferred<void>();
        caughtUp = { target, resolve: arrived.resolve };
        if ((position ?? 0) < target) await Promise.race([arrived.promise, sleep(500, signal)]);
      } else await sleep(100, signal);
    }
  }

  const name = `${o.runId} coordinator`;
  const session = openNatsSession({
    ...o,
    name,
    work: collect,
    onTrouble: (error) => {
      trouble = error;
      if (/authorization/i.test(error.message)) opened.reject(error);
    },
  });
  const what = `opening the run's stream at ${splitNatsUrl(o.url).address}`;
  await withDeadline(opened.promise, { timeoutMs: openTimeoutMs, what }).catch(async (error) => {
    await session.close();
    throw trouble === null ? error : describeTrouble(trouble);
  });
  const outbox = openMetricsOutbox({ ...o, name });
  let closed: Promise<void> | null = null;

  return {
    publish(messageId, metric) {
      const full: Metric = { ...metric, runId: o.runId };
      outbox.publish(subjects[metric.kind](o.runId), messageId, full);
    },
    counts: () => ({ received, ...outbox.counts() }),
    close({ settleMs }) {
      closed ??= (async () => {
        const startedMs = performance.now();
        await outbox.close({ timeoutMs: settleMs });
        const restMs = Math.max(0, Math.ceil(settleMs - (performance.now() - startedMs)));
        const over = AbortSignal.timeout(restMs);
        // A server that is away, or answers no more, is no reason to fail: what did not come by now is late.
        await Promise.race([settle(over), sleep(restMs, over)]).catch(() => {});
        await session.close();
      })();
      return closed;
    },
  };
}

/**
 * JetStream reserves all that a stream may come to hold, and its own words for a full disk say neither where
 * nor what to do.
 */
function describeTrouble(trouble: RondoError): RondoError {
  if (!/insufficient (storage )?resources|no space left/.test(trouble.message)) return trouble;
  return new RondoError('resource-exhausted', 'there is no room for its store', {
    remedy: "Free some space there: a run's metrics take up to 256 MiB, of which a third more must be free.",
    cause: trouble,
  });
}
