import { RondoError } from './errors.js';

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
type EndSignal = keyof typeof exitCodes | 'SIGHUP';

/**
 * One Ctrl-C may arrive twice: the terminal sends it to the whole group, and npm, in that group, forwards it
 * to the program it runs. A signal that follows the first this soon is the same request.
 */
const sameRequestMs = 300;

/** How a program is told to end. */
export interface Lifecycle {
  /**
   * Aborts at the first SIGINT, SIGTERM or SIGHUP: finish what is being done, then leave. Its reason is a
   * RondoError.
   */
  readonly signal: AbortSignal;
  /** Aborts at the second one, just before the process exits: only synchronous work is still done. */
  readonly immediate: AbortSignal;
  /** Aborts at SIGTERM, where that ends the process at once: only synchronous work is still done. */
  readonly handover: AbortSignal;
  /** Gives the signals back to Node. Safe to call twice. */
  close(): void;
}

/** What of `process` the lifecycle needs; tests bring their own. */
export interface SignalSource {
  on(name: EndSignal, listener: (name: EndSignal) => void): unknown;
  removeListener(name: EndSignal, listener: (name: EndSignal) => void): unknown;
  exit(code: number): void;
}

/**
 * Turns SIGINT, SIGTERM and SIGHUP into two AbortSignals: the first asks, the second exits with 130 or 143.
 * SIGHUP only asks: a terminal that is closed sends it more than once, without anybody asking again. Under
 * nohup it asks too, for Node undoes at its start what it inherits as ignored.
 *
 * @param options.handsOver another process takes this one's place after SIGTERM, which therefore exits with 143 at
 *   once.
 */
export function openLifecycle(
  options: { source?: SignalSource; nowMs?: () => number; handsOver?: boolean } = {},
): Lifecycle {
  const source: SignalSource = options.source ?? process;
  const nowMs = options.nowMs ?? (() => performance.now());
  const graceful = new AbortController();
  const immediate = new AbortController();
  const handover = new AbortController();
  let firstAtMs = 0;

  const receive = (name: EndSignal) => {
    if (name === 'SIGTERM' && options.handsOver && !graceful.signal.aborted) {
      handover.abort(new RondoError('cancelled', 'ended by SIGTERM'));
      source.exit(exitCodes[name]);
      return;
    }
    if (!graceful.signal.aborted) {
      firstAtMs = nowMs();
      graceful.abort(new RondoError('cancelled', `stopped by ${name}`));
      return;
    }
    if (name === 'SIGHUP' || nowMs() - firstAtMs < sameRequestMs) return;
    immediate.abort(new RondoError('cancelled', `stopped at once by a second ${name}`));
    source.exit(exitCodes[name]);
  };

  const names: readonly EndSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const name of names) source.on(name, receive);
  return {
    signal: graceful.signal,
    immediate: immediate.signal,
    handover: handover.signal,
    close() {
      for (const name of names) source.removeListener(name, receive);
    },
  };
}
