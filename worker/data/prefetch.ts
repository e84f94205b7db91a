import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { RondoError } from '../../runtime/errors.js';

/**
 * Prepares what `requests` ask for ahead of the consumer, and hands it out in their order.
 *
 * The first item has the machine and the network to itself: the others are begun once it is ready. Then nothing
 * more is begun while `depth` items are alive, that is in preparation, ready, or handed out and not released. A
 * consumer that holds as many and asks for one more gets exactly one more, unprefetched, so that no depth can make
 * it wait for itself. An item that fails to prepare rejects in its turn; leaving the loop, or the signal, ends the
 * preparation at once and releases what was not handed out. `release` may be called twice.
 */
export async function* prefetch<Request, Item extends { release(): void }>(
  requests: Iterable<Request>,
  prepare: (request: Request, signal: AbortSignal) => Promise<Item>,
  o: { depth: number; signal: AbortSignal },
): AsyncGenerator<Item, void, void> {
  assert(o.depth >= 1, `depth must be at least 1, got ${o.depth}`);
  const stop = new AbortController();
  // Whatever is fetched for an item listens, and that may be many.
  setMaxListeners(0, stop.signal);
  const abort = () => stop.abort(o.signal.reason);
  if (o.signal.aborted) abort();
  else o.signal.addEventListener('abort', abort, { once: true });
  const source = requests[Symbol.iterator]();
  const ahead: Promise<Item>[] = [];
  let alive = 0;
  let depth = 1;
  let exhausted = false;

  const countingRelease = (item: Item): Item => {
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      item.release();
      alive -= 1;
      fill();
    };
    return { ...item, release };
  };
  const start = () => {
    const next = source.next();
    if (next.done) {
      exhausted = true;
      return;
    }
    alive += 1;
    const item = prepare(next.value, stop.signal).then(countingRelease);
    ahead.push(item);
    item.then(
      () => {
        depth = o.depth;
        fill();
      },
      // A failure is thrown when the item is due; until then it must not count as an unhandled rejection.
      () => {},
    );
  };
  const fill = () => {
    while (!exhausted && !stop.signal.aborted && alive < depth) start();
  };

  try {
    for (;;) {
      throwIfAborted(stop.signal);
      fill();
      if (ahead.length === 0 && !exhausted) start();
      const next = ahead.shift();
      if (next === undefined) return;
      yield await unlessAborted(next, stop.signal);
    }
  } finally {
    stop.abort();
    o.signal.removeEventListener('abort', abort);
    source.return?.();
    for (const item of ahead) item.then(({ release }) => release()).catch(() => {});
  }
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw cancellation(signal);
}

function cancellation(signal: AbortSignal): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('cancelled', 'loading images was cancelled', { cause: signal.reason });
}

/** The item, or a rejection as soon as the signal comes; an item that arrives after that is released. */
async function unlessAborted<Item extends { release(): void }>(
  item: Promise<Item>,
  signal: AbortSignal,
): Promise<Item> {
  let giveUp = () => {};
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(cancellation(signal));
    signal.addEventListener('abort', giveUp, { once: true });
  });
  try {
    throwIfAborted(signal);
    return await Promise.race([item, aborted]);
  } catch (error) {
    item.then(({ release }) => release()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
