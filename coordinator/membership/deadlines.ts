/** How long a worker may be silent, unless --silence-limit says otherwise. */
export const defaultSilenceMs = 5_000;

/** Every wait of a cluster, in milliseconds. All are multiples of the silence limit: there is no second clock. */
export interface Deadlines {
  /** A worker that was not heard from for this long is lost. */
  readonly silenceMs: number;
  /** How often time is looked at. */
  readonly tickMs: number;
  /** How often a worker is to be heard from. */
  readonly heartbeatMs: number;
  /** A generation without progress stalls after this, or after a multiple of its usual step if that is more. */
  readonly stallMs: number;
  /** The same before it is known how long a step takes: programs are built and compiled. */
  readonly firstStallMs: number;
  /** A worker that was launched must be ready. */
  readonly readyMs: number;
  /** A session must have registered. */
  readonly registerMs: number;
  /** A worker that leaves waits for the step under way. */
  readonly leaveMs: number;
  /** Workers have closed their streams after Goodbye. */
  readonly goodbyeMs: number;
  /** A transfer whose other side neither sends nor takes anything is ended. */
  readonly transferMs: number;
}

export function deadlinesOf(silenceMs: number): Deadlines {
  return {
    silenceMs,
    tickMs: silenceMs / 20,
    heartbeatMs: silenceMs / 5,
    // A file server may be restarted meanwhile.
    stallMs: 12 * silenceMs,
    firstStallMs: 120 * silenceMs,
    // Starting takes minutes on a machine that has other work.
    readyMs: 120 * silenceMs,
    registerMs: silenceMs,
    leaveMs: silenceMs,
    goodbyeMs: silenceMs,
    transferMs: 12 * silenceMs,
  };
}
