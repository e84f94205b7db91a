import type { RunConfig, Trainable } from '../../plan/run-config.js';
import { type Assignment, type StateCopy, StateSource } from '../../proto/gen/coordinator.js';
import { PeerClient } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { workerName } from '../../runtime/member-name.js';
import type { LaneThread } from '../collective/lanes.js';
import { openRing } from '../collective/open-ring.js';
import type { Exchange } from '../collective/transport/grpc/grpc-link.js';
import type { BatchLoader } from '../training/batches.js';
import type { Compute, ComputeShape, Digests } from '../training/compute.js';
import { performTask } from '../training/perform-task.js';
import type { Requests } from '../training/reduce-parts.js';
import type { Snapshots } from '../training/snapshots.js';
import type { TaskRun } from '../training/task.js';
import type { CoordinatorLink } from './coordinator-link.js';
import { receiveState, type StateStream } from './state-transfer.js';

/** Pieces of a state are 1 MiB. */
const maxStateChunkBytes = 4 << 20;

/** What outlives a generation. */
export interface WorkerResources {
  readonly credentials: RunCredentials;
  readonly config: RunConfig;
  readonly session: CoordinatorLink;
  readonly exchange: Exchange;
  /** Further lanes of the ring. */
  readonly lanes: readonly LaneThread[];
  readonly compute: Compute;
  readonly shape: ComputeShape;
  readonly snapshots: Snapshots;
  /** After how many steps the state is that TensorFlow holds; null for none, or for one that is half loaded. */
  readonly held: { step: number | null };
  /** A snapshot is taken after every so many steps; 0 for none but those of epochs. */
  readonly snapshotSteps: number;
  readonly loader: BatchLoader;
  /** The reduction vector of each set of trainable parameters, in shared memory. */
  readonly vectors: Readonly<Partial<Record<Trainable, Float32Array>>>;
}

/** A membership that this worker has prepared for: its state is loaded and its ring is connected. */
export interface Generation {
  readonly number: bigint;
  readonly rank: number;
  readonly worldSize: number;
  readonly startStep: number;
  readonly stateDigest: string;
  /** Of the state, when it came from a peer. */
  readonly copy: StateCopy | undefined;
  /** The run's task, once. */
  perform(o: { requests(step: number): Requests; onEvaluated(images: number): void }): TaskRun;
}

/** Loads the state that `assignment` names and joins its ring. */
export async function prepareGeneration(
  assignment: Assignment,
  resources: WorkerResources,
  signal: AbortSignal,
): Promise<Generation> {
  const { generation, rank, worldSize, peerAddresses, workerIds } = assignment;
  const { config, compute, exchange, lanes, shape, vectors } = resources;
  const startStep = Number(assignment.startStep);
  const predecessorAddress = peerAddresses[(rank + worldSize - 1) % worldSize];
  const [{ digests, copy }, ring] = await Promise.all([
    prepareState(assignment, resources, signal),
    openRing({
      ...{ exchange, lanes, generation, rank, worldSize, predecessorAddress, signal },
      names: workerIds.map(workerName),
      wire: config.wire,
      vectors: Object.values(vectors),
    }),
  ]);

  return {
    number: generation,
    rank,
    worldSize,
    startStep,
    stateDigest: digests.state,
    copy,
    perform: ({ requests, onEvaluated }) =>
      performTask({
        ...{ config, rank, worldSize, startStep, compute, signal, onEvaluated },
        epochEndDue: assignment.epochEndDue,
        loader: resources.loader,
        snapshots: resources.snapshots,
        context(trainable) {
          const [layout, vector] = [shape.reductions[trainable]!, vectors[trainable]!];
          // What a bfloat16 wire rounds, a world of one rounds too.
          const alone = worldSize === 1 && config.wire === 'float32';
          return { config, compute, ring: alone ? null : ring, layout, vector, requests, signal };
        },
      }),
  };
}

interface PreparedState {
  readonly digests: Digests;
  readonly copy?: StateCopy;
}

async function prepareState(
  assignment: Assignment,
  resources: WorkerResources,
  signal: AbortSignal,
): Promise<PreparedState> {
  const { config, session, compute, snapshots, held } = resources;
  const step = Number(assignment.startStep);
  const load = async (fill: (values: Float32Array) => Promise<Digests>): Promise<PreparedState> => {
    held.step = null;
    const { digests } = await snapshots.put(step, fill);
    held.step = step;
    return { digests };
  };
  switch (assignment.stateSource) {
    case StateSource.STATE_SOURCE_FRESH: {
      const pretrained = config.pretrainedDigest === null ? null : await session.fetchPretrained();
      return load((values) => compute.initialize(values, config.seed, pretrained));
    }
    case StateSource.STATE_SOURCE_CHECKPOINT:
      return load((values) => copyState(session.fetchCheckpoint(step), step, values, resources));
    case StateSource.STATE_SOURCE_PEER: {
      const startedMs = performance.now();
      const peer = openChannel(PeerClient, assignment.statePeerAddress, {
        credentials: resources.credentials,
        peer: workerName(assignment.statePeerId),
        maxReceiveBytes: maxStateChunkBytes,
      });
      const call = peer.copyState({ generation: assignment.generation, step: BigInt(step) });
      const cancel = () => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      try {
        const { digests } = await load((values) => copyState(call, step, values, resources));
        const bytes = BigInt(resources.shape.state.length * Float32Array.BYTES_PER_ELEMENT);
        return { digests, copy: { bytes, seconds: (performance.now() - startedMs) / 1_000 } };
      } finally {
        signal.removeEventListener('abort', cancel);
        cancel();
        peer.close();
      }
    }
    case StateSource.STATE_SOURCE_OWN:
      return { digests: (await snapshots.hold(step)).digests };
    default:
      throw new RondoError('internal', `an assignment without a state source (${assignment.stateSource})`);
  }
}

async function copyState(
  stream: StateStream,
  step: number,
  values: Float32Array,
  { compute, shape }: WorkerResources,
): Promise<Digests> {
  const header = await receiveState(stream, shape.state, values);
  const digests = await compute.load(values);
  if (digests.state === header.stateDigest) return digests;
  throw new RondoError(
    'data-loss',
    `the state of step ${step} arrived with another digest than it was sent with`,
    {
      remedy: 'try again; if it happens again, resume from an earlier checkpoint',
    },
  );
}
