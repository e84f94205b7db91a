import type { RunConfig, Trainable } from '../../plan/run-config.js';
import { type Assignment, type StateCopy, StateSource } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { workerName } from '../../runtime/member-name.js';
import type { LaneThread } from '../collective/lanes.js';
import { openRing } from '../collective/open-ring.js';
import type { Exchange } from '../collective/transport/grpc/grpc-link.js';
import type { BatchLoader } from '../training/batches.js';
import type { Compute, ComputeShape } from '../training/compute.js';
import { type Evaluated, nothingEvaluated } from '../training/evaluate.js';
import { performTask } from '../training/perform-task.js';
import type { Requests } from '../training/reduce-parts.js';
import type { Snapshots } from '../training/snapshots.js';
import type { StepContext, StepShare } from '../training/step.js';
import type { TaskRun } from '../training/task.js';
import type { CoordinatorLink } from './coordinator-link.js';
import { copyFromPeer } from './copy-from-peer.js';
import { receiveState } from './state-transfer.js';

/** What TensorFlow holds of the run. */
export interface Held {
  /** After how many steps the state is; null for none, or for one that is half loaded. */
  step: number | null;
  /** Of the state after `step` steps, as it was told last; null where it was not computed. */
  checksum: { readonly step: number; readonly digest: string } | null;
  /** Of the next step, which was cut off: those micro-batches whose gradients have been summed. */
  microBatches: readonly number[];
  readonly evaluated: Evaluated;
}

export function nothingHeld(): Held {
  return { step: null, checksum: null, microBatches: [], evaluated: nothingEvaluated() };
}

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
  /** For workers that join: of the state as it is held. */
  readonly heldSnapshots: Snapshots;
  readonly held: Held;
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
  { signal, abandoned }: Pick<StepContext, 'signal' | 'abandoned'>,
): Promise<Generation> {
  const { generation, rank, worldSize, peerAddresses, workerIds } = assignment;
  const { config, session, compute, exchange, lanes, shape, vectors, held } = resources;
  const startStep = Number(assignment.startStep);
  const [{ stateDigest, copy }, ring] = await Promise.all([
    prepareState(assignment, resources, signal),
    openRing({
      ...{ exchange, lanes, generation, rank, worldSize, addresses: peerAddresses, signal },
      names: workerIds.map(workerName),
      wire: config.wire,
      transport: config.ring,
      vectors: Object.values(vectors),
    }),
  ]);

  return {
    number: generation,
    rank,
    worldSize,
    startStep,
    stateDigest,
    copy,
    perform: ({ requests, onEvaluated }) =>
      performTask({
        ...{ config, rank, worldSize, startStep, compute, signal, onEvaluated },
        partitions: assignment.partitions?.microBatches ?? null,
        startShare: startShareOf(assignment, held),
        evaluated: held.evaluated,
        startEvaluation: assignment.startEvaluation?.microBatches ?? null,
        epochEndDue: assignment.epochEndDue,
        epochClosed: (epoch) => session.epochClosed(epoch, signal),
        loader: resources.loader,
        snapshots: resources.snapshots,
        context(trainable) {
          const [layout, vector] = [shape.reductions[trainable]!, vectors[trainable]!];
          // What a bfloat16 wire rounds, a world of one rounds too.
          const isAlone = worldSize === 1 && config.wire === 'float32';
          const keep = (microBatches: readonly number[]) => {
            held.microBatches = microBatches;
          };
          return { config, compute, ring, isAlone, layout, vector, requests, keep, signal, abandoned };
        },
      }),
  };
}

/** The micro-batches that are assigned; all are computed anew unless they are those that are held, and others. */
function startShareOf({ startShare }: Assignment, held: Held): StepShare | null {
  if (startShare === undefined) return null;
  const { microBatches } = startShare;
  const isKept = held.microBatches.every((microBatch) => microBatches.includes(microBatch));
  return { microBatches, computed: isKept ? held.microBatches : [] };
}

async function prepareState(assignment: Assignment, resources: WorkerResources, signal: AbortSignal) {
  const { config, compute, snapshots, held } = resources;
  const copy = await obtainState(assignment, resources, signal);
  // A range test compares with it what it has put back.
  if (config.task.kind === 'lr-find') {
    const { state } = await (await snapshots.hold(Number(assignment.startStep))).digests();
    return { stateDigest: state, copy };
  }
  const { statePeerDigest, stateSource, startStep } = assignment;
  const isOwn = stateSource === StateSource.STATE_SOURCE_OWN;
  const known = isOwn && held.checksum?.step === Number(startStep) ? held.checksum.digest : null;
  const stateDigest = known ?? (await compute.checksum());
  if (statePeerDigest !== '' && statePeerDigest !== stateDigest) throw damagedState(assignment.startStep);
  return { stateDigest, copy };
}

function damagedState(step: bigint | number): RondoError {
  return new RondoError(
    'data-loss',
    `the state of step ${step} arrived with another digest than it was sent with`,
    { remedy: 'try again; if it happens again, resume from an earlier checkpoint' },
  );
}

/** Has TensorFlow hold the state that the assignment names; says what it cost where a peer had it. */
async function obtainState(
  assignment: Assignment,
  resources: WorkerResources,
  signal: AbortSignal,
): Promise<StateCopy | undefined> {
  const { config, session, compute, held, snapshots, heldSnapshots } = resources;
  const step = Number(assignment.startStep);
  const load = async (into: Snapshots, fill: (values: Float32Array) => Promise<void>) => {
    Object.assign(held, nothingHeld());
    const snapshot = await into.put(step, fill);
    held.step = step;
    return snapshot;
  };
  switch (assignment.stateSource) {
    case StateSource.STATE_SOURCE_FRESH: {
      const pretrained = config.pretrainedDigest === null ? null : await session.fetchPretrained();
      await load(snapshots, (values) => compute.initialize(values, config.seed, pretrained));
      return undefined;
    }
    case StateSource.STATE_SOURCE_CHECKPOINT: {
      let sent = '';
      const snapshot = await load(snapshots, async (values) => {
        sent = (await receiveState(session.fetchCheckpoint(step), snapshots.form, values)).stateDigest;
        await compute.load(values);
      });
      if ((await snapshot.digests()).state !== sent) throw damagedState(step);
      return undefined;
    }
    case StateSource.STATE_SOURCE_PEER: {
      const startedMs = performance.now();
      const { credentials, exchange } = resources;
      const { form } = heldSnapshots;
      const request = { assignment, credentials, form, sharedMemory: exchange.sharedMemory };
      await load(heldSnapshots, async (values) => {
        await copyFromPeer({ ...request, values, signal });
        await compute.loadHeld(values);
      });
      const bytes = BigInt(form.length * Float32Array.BYTES_PER_ELEMENT);
      return { bytes, seconds: (performance.now() - startedMs) / 1_000 };
    }
    case StateSource.STATE_SOURCE_OWN:
      return undefined;
    default:
      throw new RondoError('internal', `an assignment without a state source (${assignment.stateSource})`);
  }
}
