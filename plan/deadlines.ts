/** How long a worker may be silent, unless --silence-limit says otherwise. */
export const defaultSilenceMs = 5_000;

const leastAbsenceMs = 60_000;

/**
 * Every wait of a cluster, in milliseconds, on both sides. All are multiples of the silence limit, which workers
 * are told with Welcome: there is no second clock.
 */
export interface Deadlines {
  /** A worker that is not heard from is lost before this is over: at the last look at the time within it. */
  readonly silenceMs: number;
  /** How often the coordinator looks at the time. */
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
  /** The coordinator answers a worker that connects for the first time, or again. */
  readonly connectMs: number;
  readonly reconnectMs: number;
  /** Neighbours of a ring have come, which their states may keep from it. */
  readonly neighbourMs: number;
  /** A rank that has reported an epoch's end waits for those that have not: it is longer than they are missed. */
  readonly epochEndMs: number;
  /** A worker that leaves waits for the step under way; then that is cut off. */
  readonly leaveMs: number;
  /** A worker that leaves waits for Goodbye; then it hangs up. */
  readonly hangUpMs: number;
  /** A worker that was told to end has ended, whatever its threads do; then its process is killed. */
  readonly endMs: number;
  /** What runs of a generation has ended after its session; then it hangs in native code. */
  readonly abortMs: number;
  /** Metrics that are still waiting are sent. */
  readonly metricsMs: number;
  /** Workers have closed their streams after Goodbye. */
  readonly goodbyeMs: number;
  /** The coordinator's server has closed its connections. */
  readonly shutdownMs: number;
  /** Workers wait at least so long for a coordinator that is gone: a minute or more. */
  readonly absenceMs: number;
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
    connectMs: 6 * silenceMs,
    reconnectMs: 0.4 * silenceMs,
    neighbourMs: 24 * silenceMs,
    epochEndMs: 2 * silenceMs,
    leaveMs: 1.6 * silenceMs,
    hangUpMs: 2.4 * silenceMs,
    endMs: 3 * silenceMs,
    abortMs: 12 * silenceMs,
    metricsMs: 0.6 * silenceMs,
    goodbyeMs: silenceMs,
    shutdownMs: 0.4 * silenceMs,
    // A minute whatever the silence limit, and what a machine that has other work takes to start another.
    absenceMs: Math.max(leastAbsenceMs, 24 * silenceMs),
    transferMs: 12 * silenceMs,
  };
}
