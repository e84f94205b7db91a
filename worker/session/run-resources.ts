import { deadlinesOf } from '../../plan/deadlines.js';
import { trainableSets } from '../../plan/phases.js';
import { runConfigSchema, type Trainable } from '../../plan/run-config.js';
import type { Welcome } from '../../proto/gen/coordinator.js';
import type { Identity } from '../../runtime/grpc/credentials.js';
import { formatHostPort, parseHostPort } from '../../runtime/host-port.js';
import { workerName } from '../../runtime/member-name.js';
import { natsMemberOf } from '../../runtime/nats-session.js';
import { parseJson } from '../../runtime/parse-json.js';
import { adoptMemory } from '../arithmetic/reduction-vector.js';
import { type LaneThread, startLaneThread } from '../collective/lanes.js';
import { type FetchSamples, moveDataset, openFetchedSource } from '../data/fetched-source.js';
import { type Loader, openLoader } from '../data/loader.js';
import { programOptions } from '../model/program-options.js';
import { createHeldSnapshots, createSnapshots, type Snapshots } from '../training/snapshots.js';
import { type WatchedLoader, watchLoader } from './activity.js';
import type { CoordinatorLink } from './coordinator-link.js';
import { nothingHeld, type WorkerResources } from './generation.js';
import { type MetricsPublisher, openPublisher } from './metrics-publisher.js';

const fromCoordinator = {
  name: "the coordinator's run configuration",
  code: 'failed-precondition',
  remedy: 'coordinator and workers must be of the same version of Rondo',
} as const;

/** Where a worker's peers reach it. */
export interface Reach {
  /** HOST:PORT to listen on; port 0 takes a free one. */
  readonly listen: string;
  /** The host that it is reached by, when that is another. */
  readonly advertise: string | null;
}

/** What a worker is given that decides neither the run nor where its coordinator is. */
export interface RunResourcesOptions {
  /** HOST:PORT by which this machine reaches the coordinator. */
  readonly coordinator: string;
  readonly workerId: string;
  /** Folder of the images on this machine, when it is not where the coordinator has them; null when it is. */
  readonly dataRoot: string | null;
  /** Folder whose sub-folder `pixels` keeps decoded images for all workers and later runs. */
  readonly cacheDir: string;
  /** Memory budget for decoded pixels, in bytes. */
  readonly cacheBytes: number;
  /** Bound of the decoded images on disk, in bytes, of all data sets together. */
  readonly diskCacheBytes: number;
}

/** What the run's configuration decides, and what outlives a session. */
export interface RunResources {
  readonly resources: Omit<WorkerResources, 'session' | 'snapshotSteps'>;
  readonly runId: string;
  readonly publisher: MetricsPublisher;
  /** Sends what metrics are still waiting and counts them. */
  settleMetrics(): Promise<{ published: number; dropped: number }>;
}

/** What has been opened and must be closed, in the order of opening. */
export interface Opened {
  snapshots?: Snapshots;
  loader?: Loader;
  watched?: WatchedLoader;
  publisher?: MetricsPublisher;
  /** Metrics could not be published in time: there is no use in waiting once more. */
  waitedForMetrics?: boolean;
  readonly lanes: LaneThread[];
}

/**
 * Opens everything that the run's configuration decides. TensorFlow builds its program while the dataset
 * arrives.
 */
export async function openRunResources(
  welcome: Welcome,
  options: RunResourcesOptions,
  base: Pick<WorkerResources, 'credentials' | 'compute' | 'exchange'> & {
    readonly session: CoordinatorLink;
    /** By the session that is open then. */
    readonly fetchSamples: FetchSamples;
  },
  opened: Opened,
  reach: Reach,
): Promise<RunResources> {
  const { session, fetchSamples, ...kept } = base;
  const config = parseJson(runConfigSchema, welcome.runConfigJson, fromCoordinator);
  const { runId, natsUrl, natsToken, natsCertificates } = welcome;
  const { metricsMs, neighbourMs, absenceMs } = deadlinesOf(1_000 * welcome.silenceSeconds);
  const { workerId, cacheDir, cacheBytes, diskCacheBytes } = options;
  const trainable = trainableSets(config);
  useThreads(config.threads);
  const [shape, dataset] = await Promise.all([
    kept.compute.open(programOptions(config, trainable)),
    session.fetchDataset(),
    openLanes(config.lanes - 1, { ...reach, identity: kept.credentials.identity, neighbourMs }, opened.lanes),
  ]);
  const vectors: Partial<Record<Trainable, Float32Array>> = {};
  for (const set of trainable) {
    const memory = adoptMemory(shape.vectors[set]!, 0);
    vectors[set] = new Float32Array(memory, 0, shape.reductions[set]!.length);
  }
  const snapshots = createSnapshots(kept.compute, shape.state);
  const heldSnapshots = createHeldSnapshots(kept.compute, shape.held);
  const { dataRoot } = options;
  const loader = openLoader({
    ...{ config, cacheBytes, cacheDir, diskCacheBytes },
    dataset: dataRoot === null ? dataset : moveDataset(dataset, dataRoot),
    far: openFetchedSource(dataset, fetchSamples, absenceMs),
  });
  const member = natsCertificates ? natsMemberOf(kept.credentials, workerName(workerId)) : undefined;
  // The run's own server listens beside the coordinator, which each machine may reach by an address of its own.
  const url = natsCertificates ? moveUrl(natsUrl, options.coordinator) : natsUrl;
  const publisher = openPublisher({ url, token: natsToken, runId, workerId, member });
  const watched = watchLoader(loader);
  Object.assign(opened, { snapshots, loader, watched, publisher });
  const held = nothingHeld();
  return {
    ...{ runId, publisher },
    resources: {
      ...{ ...kept, config, lanes: opened.lanes, shape, snapshots, heldSnapshots, held, vectors },
      loader: watched,
    },
    async settleMetrics() {
      // Not closed: the coordinator may have the run go on with another phase.
      const left = await publisher.settle({ timeoutMs: metricsMs });
      opened.waitedForMetrics = left > 0;
      const { published, dropped } = publisher.counts();
      return { published, dropped: dropped + left };
    },
  };
}

/** The URL's port on the host of `address` (HOST:PORT). */
function moveUrl(url: string, address: string): string {
  const { protocol, port } = new URL(url);
  const { host } = parseHostPort(address);
  return `${protocol}//${formatHostPort({ host, port: Number(port) })}`;
}

/**
 * Has TensorFlow, which reads it when it is loaded, divide its operations among so many threads: their results'
 * last bits depend on it, so that it is the run's to say, however the worker was started.
 */
function useThreads(threads: number): void {
  process.env.TF_NUM_INTRAOP_THREADS = String(threads);
  process.env.OMP_NUM_THREADS = String(threads);
}

/** Closes what `openRunResources` opened, but for what is the whole process's; metrics have `metricsMs` left. */
export async function closeRunResources(
  { publisher, loader, waitedForMetrics = false }: Opened,
  metricsMs: number,
): Promise<void> {
  await publisher?.close({ timeoutMs: waitedForMetrics ? 0 : metricsMs });
  await loader?.close();
}

/** Threads for the lanes beside the main thread's, in order. */
async function openLanes(
  count: number,
  {
    listen,
    advertise,
    identity,
    neighbourMs,
  }: Reach & {
    readonly identity: Identity;
    readonly neighbourMs: number;
  },
  opened: LaneThread[],
): Promise<void> {
  const { host } = parseHostPort(listen);
  for (let lane = 0; lane < count; lane += 1) {
    const address = formatHostPort({ host, port: 0 });
    opened.push(await startLaneThread({ address, advertise, identity, waitMs: neighbourMs }));
  }
}
