import type { Deadlines } from '../../plan/deadlines.js';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';

interface Patience extends Pick<Deadlines, 'absenceMs' | 'heartbeatMs' | 'reconnectMs'> {
  /** Whether there still is something to do of the epoch that was under way when the coordinator was lost. */
  isTraining(): boolean;
  readonly signal: AbortSignal;
}

/**
 * Opens a session with a coordinator that takes the place of one that is gone, for as long as coordinators may be
 * away, or to the end of the epoch if that is later.
 *
 * @param open tries it once, for so long.
 * @throws RondoError what `open` said last, at once when that is not `unavailable`; the signal's reason.
 */
export async function findAgain<Session>(
  open: (timeoutMs: number) => Promise<Session>,
  { absenceMs, heartbeatMs, reconnectMs, isTraining, signal }: Patience,
): Promise<Session> {
  const goneAtMs = performance.now();
  for (let delayMs = heartbeatMs / 10; ; delayMs = Math.min(2 * delayMs, heartbeatMs)) {
    try {
      return await open(reconnectMs);
    } catch (thrown) {
      const isOver = performance.now() - goneAtMs >= absenceMs && !isTraining();
      if (isOver || RondoError.from(thrown).code !== 'unavailable') throw thrown;
    }
    await sleep(delayMs, signal);
  }
}
