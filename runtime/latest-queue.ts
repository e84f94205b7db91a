import { RondoError } from './errors.js';

/**
 * Work done in the background, one piece at a time, in order; a newer piece takes the place of one that still
 * waits, unless that one must be done.
 */
export interface LatestQueue<T> {
  push(item: T): void;
  /** Resolves when nothing is left to do: to the error of the newest piece, or null when that went well. */
  settle(): Promise<RondoError | null>;
  /** Aborts what is being done and drops what waits. */
  abort(): void;
}

export function createLatestQueue<T>(
  work: (item: T, signal: AbortSignal) => Promise<void>,
  mustBeDone: (item: T) => boolean,
  onFailed: (item: T, error: RondoError) => void,
): LatestQueue<T> {
  const controller = new AbortController();
  const { signal } = controller;
  let waiting: T[] = [];
  let running: Promise<void> | null = null;
  let failure: RondoError | null = null;

  const drain = async () => {
    for (let item = waiting.shift(); item !== undefined && !signal.aborted; item = waiting.shift()) {
      failure = await work(item, signal).then(() => null, RondoError.from);
      if (failure !== null && !signal.aborted) onFailed(item, failure);
    }
    running = null;
  };

  return {
    push(item) {
      waiting = [...waiting.filter(mustBeDone), item];
      running ??= drain();
    },
    async settle() {
      while (running !== null) await running;
      return failure;
    },
    abort() {
      waiting = [];
      controller.abort(new RondoError('cancelled', 'the run ended'));
    },
  };
}
