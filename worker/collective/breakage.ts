import { RondoError } from '../../runtime/errors.js';

/** A promise that only ever rejects: when the signal aborts, or with what is reported first. */
export function watchBreakage(signal: AbortSignal) {
  let report: (error: unknown) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    report = reject;
  });
  promise.catch(() => {});
  const onAbort = () => report(abortError(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return { promise, report, close: () => signal.removeEventListener('abort', onAbort) };
}

/** The error of a ring whose `signal` aborted: the reason, when that is a RondoError. */
export function abortError(signal: AbortSignal): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('aborted', 'the all-reduce was aborted', { cause: signal.reason });
}
