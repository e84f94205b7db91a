import { hostname } from 'node:os';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { stepsPerEpoch } from '../../plan/phases.js';
import type { Goodbye, Welcome } from '../../proto/gen/coordinator.js';
import { cpuQuota, readIfThere } from '../../runtime/cores.js';
import { sleep } from '../../runtime/deadline.js';
import { RondoError } from '../../runtime/errors.js';
import { tokenCredentials } from '../../runtime/grpc/credentials.js';
import { version } from '../../runtime/installation.js';
import { writeLines } from '../../runtime/printable.js';
import { createExchange } from '../collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../collective/transport/grpc/peer-server.js';
import { startComputeThread } from '../compute/threaded-compute.js';
import type { GenerationServices, Position } from './active-generation.js';
import { activityOf } from './activity.js';
import { createCoordinatorLink } from './coordinator-link.js';
import { type CoordinatorSession, openSession } from './coordinator-session.js';
import { createFollower, mayReconnect } from './follow-coordinator.js';
import { createReporter } from './reporter.js';
import {
  closeRunResources,
  type Opened,
  openRunResources,
  type RunResources,
  type RunResourcesOptions,
} from './run-resources.js';
import { sendState } from './state-transfer.js';

export interface WorkerOptions extends RunResourcesOptions {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** Called when nothing is left to be done but to end, within `graceMs`. */
  onEnding?(graceMs: number): void;
}

/**
 * A worker's life: registers, computes for as many generations as the coordinator assigns, and returns when
 * it is told that all is done. When its connection breaks, or the coordinator dies, it goes on and looks for it
 * again; a coordinator that knows it takes it as it is, and for another one it joins anew, without the state that
 * it held. When `signal` aborts it leaves, and returns when it may.
 *
 * @throws RondoError `aborted` when the coordinator gives up, `unavailable` when it stays away, `cancelled`
 *   when `signal` aborts and the coordinator does not answer.
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const opened: Opened = { lanes: [] };
  const compute = startComputeThread();
  const credentials = tokenCredentials(options.token);
  /** Until Welcome says which. */
  let deadlines = deadlinesOf(defaultSilenceMs);
  const exchange = createExchange(credentials, { waitMs: () => deadlines.neighbourMs });
  const endInTime = () => options.onEnding?.(deadlines.endMs);
  signal.addEventListener('abort', endInTime, { once: true });
  if (signal.aborted) endInTime();
  const peers = await startPeerServer(options.listen, credentials, {
    exchange: exchange.handler,
    copyState: (call) => void sendState(call, opened.snapshots),
  });
  const link = createCoordinatorLink();
  const position: Position = { generation: 0n, step: 0n, evaluated: 0 };
  const { workerId } = options;
  const register = { workerId, peerAddress: peers.address, host: hostname(), pid: process.pid, version };
  let run: Promise<RunResources> | undefined;
  /** Steps; null until the run is open. */
  let perEpoch: number | null = null;

  const prepare = async (welcome: Welcome): Promise<GenerationServices> => {
    deadlines = deadlinesOf(1_000 * welcome.silenceSeconds);
    run ??= openRunResources(welcome, options, { credentials, session: link, compute, exchange }, opened);
    const { resources, runId, publisher, settleMetrics } = await run;
    perEpoch = stepsPerEpoch(resources.config);
    // What it held may be of steps that the others have taken otherwise meanwhile.
    resources.held.step = null;
    return {
      resources: { ...resources, session: link, snapshotSteps: Number(welcome.snapshotSteps) },
      reporter: createReporter(link, publisher, { runId, workerId }),
      settleMetrics,
    };
  };
  const follower = createFollower({ link, position, prepare, onEnding: endInTime });

  const open = (timeoutMs: number) =>
    openSession(
      options.coordinator,
      credentials,
      { register: { ...register, attachment: follower.attachment() }, timeoutMs },
      () => ({
        ...position,
        activity: activityOf(compute, opened.watched),
        cpuQuota: cpuQuota(readIfThere) ?? undefined,
      }),
    );
  /** Null when the session broke, and another may follow. */
  const attend = async (session: CoordinatorSession): Promise<Goodbye | null> => {
    let hangUpTimer: NodeJS.Timeout | undefined;
    const leave = () => {
      session.send({ $case: 'leave', value: {} });
      hangUpTimer = setTimeout(() => session.close(), deadlines.hangUpMs);
    };
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    try {
      return await follower.follow(session);
    } catch (thrown) {
      if (signal.aborted || perEpoch === null || !mayReconnect(thrown)) throw thrown;
      writeLines(process.stderr, [`worker: ${RondoError.from(thrown).message}; looking for it again`]);
      return null;
    } finally {
      clearTimeout(hangUpTimer);
      signal.removeEventListener('abort', leave);
      session.close();
    }
  };
  /** Trains on meanwhile: for as long as coordinators may be away, or to the end of the epoch if that is later. */
  const findAgain = async (): Promise<CoordinatorSession> => {
    const { absenceMs, heartbeatMs, reconnectMs } = deadlines;
    const goneAtMs = performance.now();
    const epochEnd = perEpoch! * (Math.floor(Number(position.step) / perEpoch!) + 1);
    for (let delayMs = heartbeatMs / 10; ; delayMs = Math.min(2 * delayMs, heartbeatMs)) {
      try {
        return await open(reconnectMs);
      } catch (thrown) {
        const isTraining = follower.attachment()?.training === true && position.step < epochEnd;
        const isOver = performance.now() - goneAtMs >= absenceMs && !isTraining;
        if (isOver || RondoError.from(thrown).code !== 'unavailable') throw thrown;
      }
      await sleep(delayMs, signal);
    }
  };

  try {
    let goodbye = await attend(await open(deadlines.connectMs));
    while (goodbye === null) goodbye = await attend(await findAgain());
    if (!goodbye.ok) throw new RondoError('aborted', `the coordinator ended the run: ${goodbye.reason}`);
  } catch (thrown) {
    throw signal.aborted ? new RondoError('cancelled', 'the worker was told to end') : thrown;
  } finally {
    endInTime();
    signal.removeEventListener('abort', endInTime);
    await follower.end();
    await closeRunResources(opened, deadlines.metricsMs);
    peers.destroy();
    exchange.close();
    await Promise.all(opened.lanes.map((lane) => lane.destroy()));
    await compute.destroy();
  }
}
