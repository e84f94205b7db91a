import type { NatsConnection } from 'nats';
import { sleep } from './deadline.js';
import { createDeferred } from './deferred.js';
import { log } from './log.js';
import { type NatsMember, openNatsSession } from './nats-session.js';

/** Where metrics wait for JetStream. Nothing here blocks, throws or grows without bound. */
export interface MetricsOutbox {
  /**
   * Takes a metric for `subject`. `messageId` makes it unique: JetStream stores a message of the same id once
   * within its duplicate window, so a publication that is repeated after a lost answer arrives once.
   */
  publish(subject: string, messageId: string, metric: object): void;
  /** `published`: the server has confirmed to hold it. `dropped`: pushed out, refused, or left at close. */
  counts(): { published: number; dropped: number };
  /** Waits at most `timeoutMs` until everything is published. Resolves to how many are left. */
  settle(o: { timeoutMs: number }): Promise<number>;
  /** As `settle`, for good: what is left is dropped. May be called twice. */
  close(o: { timeoutMs: number }): Promise<void>;
}

/** How many metrics wait while there is no server; then the oldest go. A few MB. */
export const defaultCapacity = 8192;

const confirmTimeoutMs = 5000;

/** The client's own objections to a message: they would be the same at every attempt. */
const hopelessCodes: readonly unknown[] = [
  'MAX_PAYLOAD_EXCEEDED',
  'BAD_SUBJECT',
  'BAD_PAYLOAD',
  'BAD_HEADER',
];

interface Entry {
  readonly subject: string;
  readonly messageId: string;
  readonly body: Uint8Array;
}

/** An empty `url` means that metrics are off: they are taken, and neither published nor counted. */
export function openMetricsOutbox(o: {
  url: string;
  token: string;
  name: string;
  member?: NatsMember | undefined;
  capacity?: number;
}): MetricsOutbox {
  if (o.url === '') return outboxToNowhere;
  const waiting = createBoundedQueue<Entry>(o.capacity ?? defaultCapacity);
  /** Taken from the queue and not yet confirmed. One at a time, so that order survives a retry. */
  let leaving: Entry | undefined;
  let published = 0;
  let refused = 0;
  let closed: Promise<void> | null = null;
  let arrival = createDeferred<void>();
  let emptied = createDeferred<void>();

  /** Since a metric was confirmed. */
  let isTold = false;
  const session = openNatsSession({
    ...{ ...o, work: deliver },
    onTrouble({ message }) {
      if (!isTold) log('warn', 'metrics wait', { reason: message });
      isTold = true;
    },
  });

  async function deliver(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const jetstream = connection.jetstream({ timeout: confirmTimeoutMs });
    const lost = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    while (!signal.aborted) {
      leaving ??= waiting.shift();
      if (leaving === undefined) {
        emptied.resolve();
        await Promise.race([arrival.promise, lost]);
        continue;
      }
      try {
        await jetstream.publish(leaving.subject, leaving.body, { msgID: leaving.messageId });
        published += 1;
        isTold = false;
      } catch (error) {
        if (!hopelessCodes.includes((error as { code?: unknown }).code)) throw error;
        refused += 1;
      }
      leaving = undefined;
    }
  }

  async function settle({ timeoutMs }: { timeoutMs: number }): Promise<number> {
    const timeout = new AbortController();
    const flushed = waiting.size === 0 && leaving === undefined ? undefined : emptied.promise;
    await Promise.race([flushed, sleep(timeoutMs, timeout.signal).catch(() => {})]);
    timeout.abort();
    return waiting.size + (leaving === undefined ? 0 : 1);
  }

  return {
    publish(subject, messageId, metric) {
      const body = closed === null ? encode(metric) : null;
      if (body === null) {
        refused += 1;
        return;
      }
      waiting.push({ subject, messageId, body });
      emptied = createDeferred<void>();
      arrival.resolve();
      arrival = createDeferred<void>();
    },
    counts: () => ({ published, dropped: refused + waiting.dropped }),
    settle,
    close({ timeoutMs }) {
      closed ??= (async () => {
        await settle({ timeoutMs });
        await session.close();
        if (leaving !== undefined) refused += 1;
        leaving = undefined;
        while (waiting.shift() !== undefined) refused += 1;
      })();
      return closed;
    },
  };
}

const outboxToNowhere: MetricsOutbox = {
  publish() {},
  counts: () => ({ published: 0, dropped: 0 }),
  settle: () => Promise.resolve(0),
  close: () => Promise.resolve(),
};

function encode(metric: object): Uint8Array | null {
  try {
    return Buffer.from(JSON.stringify(metric));
  } catch {
    return null;
  }
}

/** First in, first out, of fixed capacity. What does not fit pushes the oldest out, and is counted. */
export interface BoundedQueue<T> {
  readonly size: number;
  /** How many items were pushed out so far. */
  readonly dropped: number;
  push(item: T): void;
  shift(): T | undefined;
}

export function createBoundedQueue<T>(capacity: number): BoundedQueue<T> {
  const slots: (T | undefined)[] = new Array(capacity);
  let first = 0;
  let size = 0;
  let dropped = 0;

  function shift(): T | undefined {
    if (size === 0) return undefined;
    const item = slots[first];
    slots[first] = undefined;
    first = (first + 1) % capacity;
    size -= 1;
    return item;
  }

  return {
    get size() {
      return size;
    },
    get dropped() {
      return dropped;
    },
    push(item) {
      if (size === capacity) {
        shift();
        dropped += 1;
      }
      slots[(first + size) % capacity] = item;
      size += 1;
    },
    shift,
  };
}
