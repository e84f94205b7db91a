import { type Deadlines, deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { cutEvaluation, stepsPerEpoch } from '../../plan/micro-batches.js';
import { firstStepsOf, planStep, totalSteps } from '../../plan/phases.js';
import { placePartitions } from '../../plan/placement.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import type { StateChunk } from '../../proto/gen/coordinator.js';
import { withDeadline } from '../../runtime/deadline.js';
import { createDeferred, type Deferred } from '../../runtime/deferred.js';
import { RondoError } from '../../runtime/errors.js';
import type { ClusterListener } from '../membership/cluster-events.js';
import { beginMembership, reduce } from '../membership/membership.js';
import type { Effect, Event, RunResult } from '../membership/membership-events.js';
import type { Membership, Start } from '../membership/membership-state.js';
import { type Adopted, awaitReturn } from '../membership/reattach.js';
import type { CommonWelcome, Rules, StallRules } from '../membership/rules.js';
import { checkKernels } from './alike-workers.js';
import { type ClusterStatus, describeCluster } from './cluster-status.js';
import { followDismissals } from './dismissals.js';
import { type ListenOptions, listen } from './listen.js';
import { tellListener, tellWorker } from './perform-effect.js';
import { createSessions } from './session-service.js';
import { createTransfers } from './transfers.js';
import { followWorkers } from './worker-figures.js';

/** A step may take twenty times as long as usual. */
const stallMultiple = 20;

export interface ClusterOptions extends ListenOptions {
  readonly config: RunConfig;
  /** Workers that the run begins with. */
  readonly worldSize: number;
  /** With fewer it waits; 1 unless given. */
  readonly minWorkers?: number;
  /** Further ones are refused; as many as it begins with unless given. */
  readonly maxWorkers?: number;
  readonly welcome: Pick<CommonWelcome, 'natsUrl' | 'natsToken'> & Partial<CommonWelcome>;
  readonly dataset: Dataset;
  readonly pretrainedPath: string | null;
  /** The state to start from, for `run({source: 'checkpoint'})`; asked for at each such start. */
  checkpoint(step: number): AsyncIterable<StateChunk>;
  readonly listener: ClusterListener;
  /** Workers of another version are refused. */
  readonly version: string;
  /** What its workers computed with before the run was resumed, in words: unlike ones may be refused. */
  readonly knownKernels?: string;
  /** What to do after the run ended early: becomes the remedy of a lost worker's error. */
  readonly endRemedy?: string;
  /** Workers that are launched on this machine, and where their logs are; none unless given. */
  readonly launched?: { readonly workerIds: readonly string[]; readonly logDir: string };
  /** A worker silent for so long is lost, and every other wait follows; 5 s unless given. */
  readonly silenceMs?: number;
  /** A snapshot is taken after every so many steps; none but those of epochs unless given. */
  readonly snapshotSteps?: number;
  /** What a coordinator that died left: its workers are waited for, and go on. */
  readonly adopted?: Adopted | null;
  /** The number of its last generation. */
  readonly lastGeneration?: bigint;
  /** Parts of the stall rule that a test changes. */
  readonly stall?: Partial<StallRules>;
}

/** The coordinator's end of all workers. `close` and `destroy` are safe to call twice. */
export interface Cluster {
  /** HOST:PORT that workers join. */
  readonly address: string;
  /**
   * Waits for `worldSize` workers and trains, whichever of them come and go meanwhile; when that has ended
   * well, the workers may train again from elsewhere.
   *
   * @returns the steps taken, counted over the run; `stopped` when that was by `stop`; `stateLost` when all
   *   workers that held its state are gone, so that it must be started again from an earlier one.
   * @throws RondoError data-loss, naming who differs, when replicas are not identical; a worker's own error
   *   when it fails; cancelled when the cluster is closed.
   */
  run(start: Start): Promise<RunResult>;
  /** Every worker finishes its step, then `run` resolves. */
  stop(reason: string): void;
  /** Every worker takes a snapshot after the step under way or the next, if they are training. */
  snapshot(): void;
  /** All that the listener has heard is on the disk: the workers need not keep it. */
  synced(): void;
  /** A worker is not started again: the run ends with `error` when too few are left. */
  workerExited(error: RondoError): void;
  /** Whether the process asked to leave, or was told that all is done. */
  hasLeft(workerId: string, pid: number): boolean;
  /** What it is at, and how fast its workers are. */
  status(): ClusterStatus;
  /** Goodbye to all, then the server ends; bounded in time. */
  close(ok: boolean, reason: string): Promise<void>;
  /** Closes all connections at once. */
  destroy(): void;
}

/**
 * Opens the coordinator's service; workers may join from now on.
 *
 * @throws RondoError as `listen` does.
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const deadlines = deadlinesOf(options.silenceMs ?? defaultSilenceMs);
  const rules = makeRules(options, deadlines);
  let outcome = awaitOutcome();
  let isResolved = false;

  let membership: Membership =
    options.adopted == null
      ? beginMembership(performance.now(), options.lastGeneration)
      : awaitReturn(rules, options.adopted, performance.now());
  const queue: Event[] = [];
  let reducing = false;
  const dispatch = (event: Event) => {
    queue.push(event);
    // A listener may call back: its event waits until this one's effects are done.
    if (reducing) return;
    reducing = true;
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { state, effects } = reduce(rules, membership, next, performance.now());
        membership = state;
        for (const effect of effects) perform(effect);
      }
    } finally {
      reducing = false;
    }
  };
  const perform = (effect: Effect) => {
    try {
      if (effect.kind === 'dismiss' && effect.ok) dismissals.dismiss(effect.session);
      if (effect.kind === 'resolved') {
        isResolved = true;
        outcome.resolve(effect.result);
      } else if (effect.kind === 'rejected') outcome.reject(effect.error);
      else if (!tellWorker(sessions, effect)) tellListener(options.listener, effect);
    } catch (error) {
      dispatch({ kind: 'abort', error: RondoError.from(error) });
    }
  };
  const figures = followWorkers();
  const dismissals = followDismissals();
  const kernels = options.config.mixed === 'refuse' ? checkKernels(options.knownKernels ?? null) : null;
  const refuse = (session: number, error: RondoError) => {
    // The run does without a joiner; it cannot begin without a worker that it was started with.
    const isBeginning = membership.kind === 'gathering' && membership.lastGeneration === 0n;
    if (isBeginning) return dispatch({ kind: 'abort', error });
    sessions.refuse(session, error);
    options.listener.warning(`refused: ${error.message}`);
  };
  const sessions = createSessions(
    {
      message(session, message) {
        const refusal = kernels?.refusalOf(session, message) ?? null;
        if (refusal !== null) return refuse(session, refusal);
        figures.hear(session, message);
        dismissals.hear(session, message);
        dispatch({ kind: 'message', session, message });
      },
      closed(session, reason) {
        figures.forget(session);
        kernels?.forget(session);
        dispatch({ kind: 'closed', session, reason });
        dismissals.forget(session);
      },
    },
    deadlines.registerMs,
  );

  const service = { session: sessions.handler, ...createTransfers(options, deadlines.transferMs) };
  const server = await listen(options, service);
  const timer = setInterval(() => dispatch({ kind: 'tick' }), deadlines.tickMs);
  return {
    address: server.address,
    run(start) {
      if (isResolved) outcome = awaitOutcome();
      isResolved = false;
      dispatch({ kind: 'start', start });
      return outcome.promise;
    },
    stop: (reason) => dispatch({ kind: 'stop', reason }),
    snapshot: () => dispatch({ kind: 'snapshot' }),
    synced: () => dispatch({ kind: 'synced' }),
    workerExited: (error) => dispatch({ kind: 'exited', error }),
    hasLeft: dismissals.has,
    status: () => describeCluster(membership, figures, performance.now()),
    async close(ok, reason) {
      clearInterval(timer);
      dispatch({ kind: 'close', ok, reason });
      const { goodbyeMs: timeoutMs } = deadlines;
      await withDeadline(sessions.drained(), { timeoutMs, what: 'goodbye' }).catch(() => {});
      await server.close(deadlines.shutdownMs);
    },
    destroy() {
      clearInterval(timer);
      dispatch({ kind: 'close', ok: false, reason: 'the coordinator ended at once' });
      server.destroy();
    },
  };
}

function awaitOutcome(): Deferred<RunResult> {
  const outcome = createDeferred<RunResult>();
  // `run` hands it out; a cluster that fails before must not count as an unhandled rejection.
  outcome.promise.catch(() => {});
  return outcome;
}

function makeRules(options: ClusterOptions, deadlines: Deadlines): Rules {
  const { config, welcome, worldSize, version, minWorkers = 1, maxWorkers = worldSize } = options;
  const { silenceMs, tickMs, leaveMs, stallMs, firstStallMs, readyMs } = deadlines;
  const { workerIds, logDir } = options.launched ?? { workerIds: [], logDir: '' };
  return {
    ...{ worldSize, minWorkers, maxWorkers, version, silenceMs, tickMs, leaveMs },
    welcome: {
      ...{
        runId: config.runId,
        runConfigJson: JSON.stringify(config),
        maxWorkers,
        natsCertificates: false,
        ...welcome,
      },
      silenceSeconds: silenceMs / 1_000,
      snapshotSteps: BigInt(options.snapshotSteps ?? 0),
    },
    validCount: config.validCount,
    evaluationBatches: cutEvaluation(config).length,
    stepsPerEpoch: stepsPerEpoch(config),
    planOf: (step) => (step < totalSteps(config) ? planStep(config, step) : null),
    placePartitions: (hosts) => placePartitions(config, hosts),
    restoresState: config.task.kind === 'lr-find',
    gathering: { timeoutMs: readyMs, logDir, workerIds },
    stall: {
      ...{
        floorMs: stallMs,
        multiple: stallMultiple,
        firstMs: firstStallMs,
        firstSteps: firstStepsOf(config),
      },
      ...options.stall,
    },
    endRemedy: options.endRemedy,
  };
}
