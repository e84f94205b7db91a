import type { RunConfig, Trainable } from '../../plan/run-config.js';
import { type Assignment, StateSource } from '../../proto/gen/coordinator.js';
import { PeerClient } from '../../proto/gen/peer.js';
import { RondoError } from '../../runtime/errors.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import type { LaneThread } from '../collective/lanes.js';
import { openRing } from '../collective/open-ring.js';
import type { Exchange } from '../collective/transport/grpc/grpc-link.js';
import type { BatchLoader } from '../training/batches.js';
import type { Compute, ComputeShape, Digests } from '../training/compute.js';
import { performTask } from '../training/perform-task.js';
import type { Snapshots } from '../training/snapshots.js';
import type { TaskRun } from '../training/task.js';
import type { CoordinatorSession } from './coordinator-session.js';
import { receiveState, type StateStream } from './state-transfer.js';

/** Pieces of a state are 1 MiB. */
const maxStateChunkBytes = 4 << 20;

/** What outlives a generation. */
export interface WorkerResources {
  readonly credentials: RunCredentials;
  readonly config: RunConfig;
  readonly session: CoordinatorSession;
  readonly exchange: Exchange;
  /** Further lanes of the ring. */
  readonly lanes: readonly LaneThread[];
  readonly compute: Compute;
  readonly shape: ComputeShape;
  readonly snapshots: Snapshots;
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
  /** The run's task, once. */
  perform(o: { stopRequested(): boolean; onEvaluated(images: number): void }): TaskRun;
}

/** Loads the state that `assignment` names and joins its ring. */
export async function prepareGeneration(
  assignment: Assignment,
  resources: WorkerResources,
  signal: AbortSignal,
): Promise<Generation> {
  const { generation, rank, worldSize, peerAddresses } = assignment;
  const { config, compute, exchange, lanes, shape, vectors } = resources;
  const startStep = Number(assignment.startStep);
  const predecessorAddress = peerAddresses[(rank + worldSize - 1) % worldSize];
  const [digests, ring] = await Promise.all([
    prepareState(assignment, resources),
    openRing({
      ...{ exchange, lanes, generation, rank, worldSize, predecessorAddress, signal },
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
    perform: ({ stopRequested, onEvaluated }) =>
      performTask({
        ...{ config, rank, worldSize, startStep, compute, signal, onEvaluated },
        loader: resources.loader,
        snapshots: resources.snapshots,
        context(trainable) {
          const [layout, vector] = [shape.reductions[trainable]!, vectors[trainable]!];
          // What a bfloat16 wire rounds, a world of one rounds too.
          const alone = worldSize === 1 && config.wire === 'float32';
          return { config, compute, ring: alone ? null : ring, layout, vector, stopRequested, signal };
        },
      }),
  };
}

async function prepareState(assignment: Assignment, resources: WorkerResources): Promise<Digests> {
  const { config, session, compute, snapshots } = resources;
  const step = Number(assignment.startStep);
  switch (assignment.stateSource) {
    case StateSource.STATE_SOURCE_FRESH: {
      const pretrained = config.pretrainedDigest === null ? null : await session.fetchPretrained();
      const fresh = await snapshots.put(step, (values) =>
        compute.initialize(values, config.seed, pretrained),
      );
      return fresh.digests;
    }
    case StateSource.STATE_SOURCE_CHECKPOINT:
      return copyState(session.fetchCheckpoint(step), step, resources);
    case StateSource.STATE_SOURCE_PEER: {
      const peer = openChannel(PeerClient, assignment.statePeerAddress, {
        credentials: resources.credentials,
        maxReceiveBytes: maxStateChunkBytes,
      });
      try {
        return await copyState(
          peer.copyState({ generation: assignment.generation, step: BigInt(step) }),
          step,
          resources,
        );
      } finally {
        peer.close();
      }
    }
    case StateSource.STATE_SOURCE_OWN:
      return (await snapshots.take(step)).digests;
    default:
      throw new RondoError('internal', `an assignment without a state source (${assignment.stateSource})`);
  }
}

async function copyState(stream: StateStream, step: number, resources: WorkerResources): Promise<Digests> {
  const { compute, shape, snapshots } = resources;
  const copied = await snapshots.put(step, async (values) => {
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
  });
  return copied.digests;
}
