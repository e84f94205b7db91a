import { hostname } from 'node:os';
import { trainableSets } from '../../plan/phases.js';
import { runConfigSchema, type Trainable } from '../../plan/run-config.js';
import type { Welcome } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import { tokenCredentials } from '../../runtime/grpc/credentials.js';
import { formatHostPort, parseHostPort } from '../../runtime/host-port.js';
import { version } from '../../runtime/installation.js';
import { parseJson } from '../../runtime/parse-json.js';
import { adoptMemory } from '../arithmetic/reduction-vector.js';
import { type LaneThread, startLaneThread } from '../collective/lanes.js';
import { createExchange } from '../collective/transport/grpc/grpc-link.js';
import { startPeerServer } from '../collective/transport/grpc/peer-server.js';
import { startComputeThread } from '../compute/threaded-compute.js';
import { type Loader, openLoader } from '../data/loader.js';
import { programOptions } from '../model/program-options.js';
import { createSnapshots, type Snapshots } from '../training/snapshots.js';
import {
  type ActiveGeneration,
  type GenerationServices,
  type Position,
  startGeneration,
} from './active-generation.js';
import { activityOf, type WatchedLoader, watchLoader } from './activity.js';
import { type CoordinatorSession, openSession } from './coordinator-session.js';
import type { WorkerResources } from './generation.js';
import { type MetricsPublisher, openPublisher } from './metrics-publisher.js';
import { createReporter } from './reporter.js';
import { sendState } from './state-transfer.js';

const publisherCloseTimeoutMs = 3000;

const fromCoordinator = {
  name: "the coordinator's run configuration",
  code: 'failed-precondition',
  remedy: 'coordinator and workers must be of the same version of Rondo',
} as const;

export interface WorkerOptions {
  /** HOST:PORT of the coordinator. */
  readonly coordinator: string;
  /** The run's token. */
  readonly token: string;
  /** HOST:PORT to serve peers on; port 0 takes a free one. */
  readonly listen: string;
  readonly workerId: string;
  /** Folder whose sub-folder `pixels` keeps decoded images for all workers and later runs. */
  readonly cacheDir: string;
  /** Memory budget for decoded pixels, in bytes. */
  readonly cacheBytes: number;
  /** Bound of the decoded images on disk, in bytes, of all data sets together. */
  readonly diskCacheBytes: number;
  /** Called when nothing is left to be done but to end. */
  onEnding?(): void;
}

/** What has been opened and must be closed, in the order of opening. */
interface Opened {
  snapshots?: Snapshots;
  loader?: Loader;
  watched?: WatchedLoader;
  publisher?: MetricsPublisher;
  /** Metrics could not be published in time: there is no use in waiting once more. */
  waitedForMetrics?: boolean;
  readonly lanes: LaneThread[];
}

/**
 * A worker's life: registers, computes for as many generations as the coordinator assigns, and returns when
 * it is told that all is done. Throws `aborted` when the coordinator gives up, `unavailable` when it
 * disappears, `cancelled` when `signal` aborts.
 */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  const opened: Opened = { lanes: [] };
  const compute = startComputeThread();
  const credentials = tokenCredentials(options.token);
  const exchange = createExchange(credentials);
  const peers = await startPeerServer(options.listen, credentials, {
    exchange: exchange.handler,
    copyState: (call) => void sendState(call, opened.snapshots),
  });
  const position: Position = { generation: 0n, step: 0n, evaluated: 0 };
  try {
    const { workerId } = options;
    const register = { workerId, peerAddress: peers.address, host: hostname(), pid: process.pid, version };
    const session = await openSession(options.coordinator, credentials, register, () => ({
      ...position,
      activity: activityOf(compute, opened.watched),
    }));
    const hangUp = () => session.close();
    signal.addEventListener('abort', hangUp);
    if (signal.aborted) hangUp();
    try {
      const open = (welcome: Welcome) =>
        equip(welcome, options, { credentials, session, compute, exchange }, opened);
      await followCoordinator(session, position, open, () => options.onEnding?.());
    } catch (thrown) {
      throw signal.aborted ? new RondoError('cancelled', 'the worker was told to end') : thrown;
    } finally {
      signal.removeEventListener('abort', hangUp);
      session.close();
    }
  } finally {
    const timeoutMs = opened.waitedForMetrics ? 0 : publisherCloseTimeoutMs;
    await opened.publisher?.close({ timeoutMs });
    await opened.loader?.close();
    peers.destroy();
    exchange.close();
    await Promise.all(opened.lanes.map((lane) => lane.destroy()));
    await compute.destroy();
  }
}

/** Does what the coordinator says until Goodbye. */
async function followCoordinator(
  session: CoordinatorSession,
  position: Position,
  open: (welcome: Welcome) => Promise<GenerationServices>,
  onEnding: () => void,
): Promise<void> {
  let services: Promise<GenerationServices> | undefined;
  let active: ActiveGeneration | undefined;
  try {
    for await (const message of session.messages) {
      switch (message.$case) {
        case 'welcome':
          services = open(message.value);
          services.catch((thrown) => {
            const error = { remedy: '', ...RondoError.from(thrown).toPlain() };
            session.send({ $case: 'failed', value: { ...position, ...error } });
          });
          break;
        case 'assignment':
          if (!services)
            throw new RondoError('internal', 'the coordinator sent an assignment before its welcome');
          await active?.abort();
          active = startGeneration(message.value, services, position);
          break;
        case 'begin':
          active?.begin();
          break;
        case 'stop':
          active?.requestStop();
          break;
        case 'goodbye':
          if (message.value.ok) return;
          throw new RondoError('aborted', `the coordinator ended the run: ${message.value.reason}`);
      }
    }
  } finally {
    onEnding();
    await active?.abort();
  }
}

/**
 * Opens everything that the run's configuration decides. TensorFlow builds its program while the dataset
 * arrives.
 */
async function equip(
  welcome: Welcome,
  options: WorkerOptions,
  base: Pick<WorkerResources, 'credentials' | 'session' | 'compute' | 'exchange'>,
  opened: Opened,
): Promise<GenerationServices> {
  const { session, compute } = base;
  const config = parseJson(runConfigSchema, welcome.runConfigJson, fromCoordinator);
  const { runId, natsUrl, natsToken } = welcome;
  const { workerId, cacheDir, cacheBytes, diskCacheBytes } = options;
  const trainable = trainableSets(config);
  useThreads(config.threads);
  const [shape, dataset] = await Promise.all([
    compute.open(programOptions(config, trainable)),
    session.fetchDataset(),
    openLanes(config.lanes - 1, options, opened.lanes),
  ]);
  const vectors: Partial<Record<Trainable, Float32Array>> = {};
  for (const set of trainable) {
    const memory = adoptMemory(shape.vectors[set]!, 0);
    vectors[set] = new Float32Array(memory, 0, shape.reductions[set]!.length);
  }
  const snapshots = createSnapshots(compute, shape.state);
  const loader = openLoader({ dataset, config, cacheBytes, cacheDir, diskCacheBytes });
  const publisher = openPublisher({ url: natsUrl, token: natsToken, runId, workerId });
  const watched = watchLoader(loader);
  Object.assign(opened, { snapshots, loader, watched, publisher });
  return {
    resources: { ...base, config, lanes: opened.lanes, shape, snapshots, loader: watched, vectors },
    reporter: createReporter(session, publisher, { runId, workerId }),
    async settleMetrics() {
      // Not closed: the coordinator may have the run go on with another phase.
      const left = await publisher.settle({ timeoutMs: publisherCloseTimeoutMs });
      opened.waitedForMetrics = left > 0;
      const { published, dropped } = publisher.counts();
      return { published, dropped: dropped + left };
    },
  };
}

/**
 * Has TensorFlow, which reads it when it is loaded, divide its operations among so many threads: their results'
 * last bits depend on it, so that it is the run's to say, however the worker was started.
 */
function useThreads(threads: number): void {
  process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  process.env.OMP_NUM_THREADS = String(threads);
}

/** Threads for the lanes beside the main thread's, in order. */
async function openLanes(
  count: number,
  { listen, token }: WorkerOptions,
  opened: LaneThread[],
): Promise<void> {
  const { host } = parseHostPort(listen);
  for (let lane = 0; lane < count; lane += 1) {
    opened.push(await startLaneThread({ address: formatHostPort({ host, port: 0 }), token }));
  }
}
