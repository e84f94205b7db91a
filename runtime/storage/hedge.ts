import { setTimeout } from 'node:timers/promises';

/** Of how many answers the usual time is known, and from how many on. */
const [remembered, leastKnown] = [128, 16];
/** Before it a second request is not worth its bytes, and this many usual times. */
const [leastMs, usualTimes] = [50, 4];
/** Second requests per request, at most: a server that is slow for all is not asked twice as much. */
const maxShare = 0.05;

/** Runs a task a second time when it takes far longer than usual, and takes what comes first. */
export type Hedge = <T>(task: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal) => Promise<T>;

/** The tasks of one hedge are alike: the times of those before tell what is usual. */
export function createHedge(nowMs: () => number = () => performance.now()): Hedge {
  const times: number[] = [];
  let [tasks, seconds, next] = [0, 0, 0];
  const usualMs = () => {
    if (times.length < leastKnown) return null;
    return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
  };
  let cached: { readonly at: number; readonly ms: number | null } = { at: -1, ms: null };
  const delayMs = () => {
    if (tasks - cached.at >= leastKnown || cached.at < 0 || cached.ms === null) {
      cached = { at: tasks, ms: usualMs() };
    }
    return cached.ms === null ? null : Math.max(leastMs, usualTimes * cached.ms);
  };
  return async (task, signal) => {
    tasks += 1;
    const end = new AbortController();
    const ended = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
    const started = nowMs();
    const first = task(ended);
    const attempts = [first];
    try {
      const delay = delayMs();
      if (delay !== null) {
        const slow = Symbol('slow');
        const wait = setTimeout(delay, slow, { signal: ended, ref: false }).catch(() => slow);
        const sooner = await Promise.race([first.then(settled, settled), wait]);
        if (sooner === slow && seconds < 1 + maxShare * tasks && !ended.aborted) {
          seconds += 1;
          attempts.push(task(ended));
        }
      }
      const result = await Promise.any(attempts);
      times[next] = nowMs() - started;
      next = (next + 1) % remembered;
      return result;
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      end.abort();
      for (const attempt of attempts) attempt.catch(() => {});
    }
  };
}

const settled = () => {};
