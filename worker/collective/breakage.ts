import { RondoError } from '../../runtime/errors.js';

/** A promise that only ever rejects: when the signal aborts, or with what is reported first. */
export function watchBreakage(signal: AbortSignal) {
  let report: (error: unknown) => void = () => {};
  const promise = new Promise<never>((_, reject) => {
    report = reject;
  });
  promise.catch(() => {});
  const onAbort = () => report(abortion(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  return { promise, report, close: () => signal.removeEventListener('abort', onAbort) };
}

export function abortion(signal: AbortSignal): RondoError {
  if (signal.reason instanceof RondoError) return signal.reason;
  return new RondoError('aborted', 'the all-reduce was aborted', { cause: signal.reason });
}
