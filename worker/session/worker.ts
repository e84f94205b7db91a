import { hostname } from 'node:os';
import { deadlinesOf, defaultSilenceMs } from '../../plan/deadlines.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import type { Assignment, Goodbye, Welcome } from '../../proto/gen/coordinator.js';
import type { CopyStateRequest, PeerServer } from '../../proto/gen/peer.js';
import { cpuQuota, readIfThere } from '../../runtime/cores.js';
import { RondoError } from '../../runtime/errors.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import { failCall } from '../../runtime/grpc/server.js';
import { advertisedAddress, formatHostPort, isWildcard, parseHostPort } from '../../runtime/host-port.js';
import { version } from '../../runtime/installation.js';
import { writeLines } from '../../runtime/printable.js';
import { createExchange } from '../collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../collective/transport/grpc/peer-server.js';
import { startComputeThread } from '../compute/threaded-compute.js';
import type { FetchSamples } from '../data/fetched-source.js';
import { rehearse } from '../training/rehearse.js';
import type { TaskEvent } from '../training/task.js';
import type { GenerationServices, Position } from './active-generation.js';
import { activityOf } from './activity.js';
import { createCoordinatorLink } from './coordinator-link.js';
import { type CoordinatorSession, openSession } from './coordinator-session.js';
import { createCopyAccess } from './copy-access.js';
import { enrol } from './enrol.js';
import { findAgain } from './find-again.js';
import { createFollower, mayReconnect } from './follow-coordinator.js';
import { nothingHeld } from './generation.js';
import type { JoinProof } from './join-proof.js';
import { keepRead, keepRenewed } from './renewal.js';
import { createReporter } from './reporter.js';
import {
  closeRunResources,
  type Opened,
  openRunResources,
  type RunResources,
  type RunResourcesOptions,
} from './run-resources.js';
import { sendState } from './state-transfer.js';
import { verifyImages } from './verify-images.js';

/** Hears what a worker does. */
export interface WorkerObserver {
  /** Whether there is a session. */
  connected(now: boolean): void;
  /** It has all that it needs but a place in a generation. */
  opened(): void;
  assigned(assignment: Assignment): void;
  happened(event: TaskEvent): void;
}

export interface WorkerOptions extends RunResourcesOptions {
  readonly proof: JoinProof;
  /** The machine's name, or the node's where that is another one: workers of one host stand beside each other in the ring. */
  readonly host?: string | undefined;
  /** Where its host is: workers of one zone stand beside each other in the ring. */
  readonly zone?: string | undefined;
  /** HOST:PORT to serve peers on; null for a free port of the address by which the coordinator is reached. */
  readonly listen: string | null;
  /** The host by which peers reach this worker, when that is another than it listens on. */
  readonly advertise: string | null;
  /** How long the coordinator may not answer yet. */
  readonly waitMs: number;
  readonly observer?: WorkerObserver | undefined;
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
 *   when `signal` aborts before the run is over.
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const { workerId, observer } = options;
  const { credentials, localHost, lifetimeMs } = await enrol(options.coordinator, {
    ...{ proof: options.proof, workerId, timeoutMs: options.waitMs, signal },
  });
  const opened: Opened = { lanes: [] };
  const compute = startComputeThread();
  /** Until Welcome says which. */
  let deadlines = deadlinesOf(defaultSilenceMs);
  const exchange = createExchange(credentials, { waitMs: () => deadlines.neighbourMs });
  const endInTime = () => options.onEnding?.(deadlines.endMs);
  signal.addEventListener('abort', endInTime, { once: true });
  if (signal.aborted) endInTime();
  const listen = options.listen ?? formatHostPort({ host: localHost, port: 0 });
  const reach = { listen, advertise: options.advertise ?? otherHost(listen, localHost) };
  const copying = createCopyAccess(() => deadlines.neighbourMs);
  const service: PeerServer = {
    exchange: exchange.handler,
    copyState(call) {
      copying.check(call).then(
        () => sendState(call, lendState, exchange.sharedMemory),
        (error) => failCall(call, error),
      );
    },
  };
  const peers = await startPeerServer(listen, credentials, service, exchange.connect);
  /** Between generations the state is copied aside when it is first asked for. */
  const lendState = async (request: CopyStateRequest) => {
    const { resources } = (await run) ?? {};
    const step = Number(request.step);
    const snapshots = request.flat ? resources?.snapshots : resources?.heldSnapshots;
    if (resources?.held.step === step && follower.isPreparing()) await snapshots!.hold(step);
    return snapshots?.lend(step);
  };
  const link = createCoordinatorLink({ epochEndMs: () => deadlines.epochEndMs });
  const peerAddress = advertisedAddress(peers.address, reach.advertise);
  const position: Position = { generation: 0n, step: 0n, evaluated: 0 };
  const { host = hostname(), zone } = options;
  const register = { workerId, peerAddress, host, zone, pid: process.pid, version };
  let run: Promise<RunResources> | undefined;
  let preparing: Promise<GenerationServices> | undefined;
  /** Steps; null until the run is open. */
  let perEpoch: number | null = null;
  let current: CoordinatorSession | null = null;
  const fetchSamples: FetchSamples = (split, ids, end) =>
    current!.fetchSamples({ valid: split === 'valid', ids: [...ids] }, end);
  const { coordinator, proof } = options;
  const onRenewed = (identity: CertificateIdentity) => {
    for (const lane of opened.lanes) lane.renew(identity);
  };
  const stopRenewing =
    proof.kind === 'own-certificate'
      ? keepRead({ coordinator, proof, credentials, onRenewed })
      : lifetimeMs === null
        ? () => {}
        : keepRenewed({ credentials, lifetimeMs, session: () => current, onRenewed });

  const openRun = async (welcome: Welcome): Promise<GenerationServices> => {
    deadlines = deadlinesOf(1_000 * welcome.silenceSeconds);
    const services = { credentials, session: link, compute, exchange, fetchSamples };
    const isFirst = run === undefined;
    run ??= openRunResources(welcome, options, services, opened, reach);
    const { resources, runId, publisher, settleMetrics } = await run;
    if (isFirst && welcome.underWay) await rehearse({ ...resources, signal });
    perEpoch = stepsPerEpoch(resources.config);
    // What it held may be of steps that the others have taken otherwise meanwhile.
    Object.assign(resources.held, nothingHeld());
    observer?.opened();
    const reporter = createReporter(link, publisher, { runId, workerId });
    return {
      resources: { ...resources, session: link, snapshotSteps: Number(welcome.snapshotSteps) },
      reporter: {
        report(event, generation) {
          reporter.report(event, generation);
          observer?.happened(event);
        },
      },
      settleMetrics,
    };
  };
  const prepare = (welcome: Welcome) => {
    preparing = openRun(welcome);
    return preparing;
  };
  const follower = createFollower({
    ...{ link, position, prepare, onEnding: endInTime },
    onAssigned(assignment) {
      copying.assign(assignment.generation, assignment.workerIds);
      observer?.assigned(assignment);
    },
  });

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
    current = session;
    observer?.connected(true);
    const leave = () => {
      session.send({ $case: 'leave', value: {} });
      hangUpTimer = setTimeout(() => session.close(), deadlines.hangUpMs);
    };
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    try {
      return await follower.follow(session);
    } catch (thrown) {
      if (signal.aborted || preparing === undefined || !mayReconnect(thrown)) throw thrown;
      writeLines(process.stderr, [`worker: ${RondoError.from(thrown).message}; looking for it again`]);
      return null;
    } finally {
      clearTimeout(hangUpTimer);
      observer?.connected(false);
      signal.removeEventListener('abort', leave);
      session.close();
    }
  };
  const reconnect = async (): Promise<CoordinatorSession> => {
    // The run is opened once: one that was cut off meanwhile goes on with that first.
    await preparing;
    const epochEnd = perEpoch! * (Math.floor(Number(position.step) / perEpoch!) + 1);
    const isTraining = () => follower.attachment()?.training === true && position.step < epochEnd;
    return findAgain(open, { ...deadlines, isTraining, signal });
  };

  try {
    await verifyImages(coordinator, credentials, { dataRoot: options.dataRoot, signal });
    let goodbye = await attend(await open(deadlines.connectMs));
    while (goodbye === null) goodbye = await attend(await reconnect());
    if (!goodbye.ok) throw new RondoError('aborted', `the coordinator ended the run: ${goodbye.reason}`);
  } catch (thrown) {
    throw signal.aborted ? new RondoError('cancelled', 'the worker was told to end') : thrown;
  } finally {
    endInTime();
    signal.removeEventListener('abort', endInTime);
    await follower.end();
    stopRenewing();
    await closeRunResources(opened, deadlines.metricsMs);
    peers.destroy();
    exchange.close();
    await Promise.all(opened.lanes.map((lane) => lane.destroy()));
    await compute.destroy();
  }
}

/** What peers are told instead of an address that stands for every one of the machine. */
function otherHost(listen: string, localHost: string): string | null {
  return isWildcard(parseHostPort(listen).host) ? localHost : null;
}
