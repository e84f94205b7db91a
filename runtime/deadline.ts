import { RondoError } from './errors.js';

/**
 * What `work` resolves to, or a rejection after `timeoutMs` or when `signal` aborts. The work itself goes on:
 * give it a signal of its own where it can be ended.
 *
 * @throws RondoError deadline-exceeded, saying that `what` took too long; or the signal's reason.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  options: { timeoutMs: number; what: string; signal?: AbortSignal },
): Promise<T> {
  const { timeoutMs, what, signal } = options;
  let stop = () => {};
  const end = new Promise<never>((_, reject) => {
    const abort = () => reject(abortReason(signal, what));
    const timer = setTimeout(
      () => reject(new RondoError('deadline-exceeded', `${what} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    );
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    stop = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    stop();
  }
}

/**
 * Resolves after `delayMs`; rejects at once with the signal's reason when it aborts.
 */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(abortReason(signal, 'the wait'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, delayMs);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true });
  });
}

/** For work of unknown length that must not stand still: `touch` it with every piece of progress. */
export interface Watchdog {
  touch(): void;
  stop(): void;
}

/** Calls `onSilence` once when nothing touched the watchdog for `timeoutMs`. */
export function startWatchdog(timeoutMs: number, onSilence: () => void): Watchdog {
  const timer = setTimeout(onSilence, timeoutMs);
  let stopped = false;
  return {
    touch() {
      // Refreshing a cleared timer would start it again.
      if (!stopped) timer.refresh();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** The RondoError an aborted signal stands for. */
export function abortReason(signal: AbortSignal | undefined, what: string): RondoError {
  const reason: unknown = signal?.reason;
  if (reason instanceof RondoError) return reason;
  return new RondoError('cancelled', `${what} was cancelled`, { cause: reason });
}
