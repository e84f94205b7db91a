import { setImmediate } from 'node:timers/promises';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { planStep, samplesAt, shareOfStep, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import {
  Activity,
  type Assignment,
  CoordinatorClient,
  type CoordinatorMessage,
  type Goodbye,
  type WorkerMessage,
} from '../../proto/gen/coordinator.js';
import { openChannel } from '../../runtime/grpc/channel.js';
import type { RunCredentials } from '../../runtime/grpc/credentials.js';
import { coordinatorName } from '../../runtime/member-name.js';
import { testCredentials } from './credentials.js';
import { fakeKernels } from './kernels.js';
import type { StopVotes } from './stop-votes.js';

type Message = NonNullable<WorkerMessage['message']>;

export interface FakeWorkerOptions {
  readonly coordinatorAddress: string;
  readonly id: string;
  readonly stopVotes: StopVotes;
  readonly config: RunConfig;
  /** Those of the tests unless given. */
  readonly credentials?: RunCredentials;
  readonly version?: string;
  readonly peerAddress?: string;
  readonly heartbeatMs?: number;
  /** Bends what this worker says, or keeps it from saying it. */
  alter?(message: Message, worker: FakeWorker): Message | null;
}

export interface FakeWorker {
  /** Everything the coordinator said, in order. */
  readonly heard: NonNullable<CoordinatorMessage['message']>[];
  /** How its session ended. Never rejects. */
  readonly done: Promise<{ goodbye: Goodbye | null; error: ServiceError | null }>;
  /** Breaks its connection, as a killed process does. */
  vanish(): void;
  /** Asks to leave, as a process does on SIGTERM. */
  leave(): void;
  /** Takes no further step and sends its heartbeats, as a process whose compute thread hangs does. */
  wedge(activity: Activity): void;
  /** Goes on living without saying anything, as a hung process does. */
  hang(): void;
}

/** A worker that computes nothing and speaks the whole protocol over a real connection. */
export function joinFakeWorker(options: FakeWorkerOptions): FakeWorker {
  const { config } = options;
  const perEpoch = stepsPerEpoch(config);
  const client = openChannel(CoordinatorClient, options.coordinatorAddress, {
    credentials: options.credentials ?? testCredentials,
    peer: coordinatorName,
    maxReceiveBytes: 1 << 20,
  });
  const call: ClientDuplexStream<WorkerMessage, CoordinatorMessage> = client.session();
  const heard: FakeWorker['heard'] = [];
  let hung = false;
  let wedged = false;
  let activity: Activity = Activity.ACTIVITY_WAITING;
  let stopVote = false;
  let generation = 0n;
  let goodbye: Goodbye | null = null;
  let begin = () => {};
  /** After how many steps the state is that it holds. */
  let held: number | null = null;
  /** Counts assignments and interruptions: what an earlier one began ends. */
  let turn = 0;

  const say = (message: Message) => {
    const altered = options.alter === undefined ? message : options.alter(message, worker);
    if (altered !== null && !hung) call.write({ message: altered });
  };
  const heartbeats = setInterval(() => {
    const value = { generation, step: 0n, evaluated: 0, activity };
    if (!hung) call.write({ message: { $case: 'heartbeat', value } });
  }, options.heartbeatMs ?? 100);

  const worker: FakeWorker = {
    heard,
    done: new Promise((resolve) => {
      const finish = (error: ServiceError | null) => {
        clearInterval(heartbeats);
        client.close();
        resolve({ goodbye, error });
      };
      call.on('error', (error: ServiceError) => finish(error));
      call.on('end', () => finish(null));
    }),
    wedge: (at) => {
      activity = at;
      wedged = true;
    },
    leave: () => say({ $case: 'leave', value: {} }),
    vanish: () => {
      turn += 1;
      call.cancel();
    },
    hang: () => {
      turn += 1;
      hung = true;
    },
  };

  const stateDigest = (step: number) => `state-${step}`;
  const endEpoch = (step: number, rank: number, worldSize: number, whole = true) => {
    const epoch = Math.ceil(step / perEpoch) - 1;
    const at = { generation, step: BigInt(step), epoch, rank };
    if (whole)
      say({ $case: 'evaluation', value: { ...at, ...evaluate(config.validCount, rank, worldSize) } });
    const digests = { stateDigest: stateDigest(step), parameterDigest: `parameters-${step}` };
    say({ $case: 'epochCompleted', value: { ...at, whole, stopped: !whole, ...digests } });
  };
  const train = async (assignment: Assignment) => {
    const { rank, worldSize, startStep } = assignment;
    const partitions = assignment.partitions?.microBatches ?? null;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    say({
      $case: 'ready',
      value: {
        generation,
        step: startStep,
        stateDigest: stateDigest(Number(startStep)),
        kernels: fakeKernels,
      },
    });
    const ownTurn = turn;
    held = Number(startStep);
    await begun;

    let step = Number(startStep);
    if (assignment.epochEndDue) endEpoch(step, rank, worldSize);
    let stopped = false;
    while (step < totalSteps(config) && !stopped) {
      // Nobody is further than one step ahead of anybody, as with a real all-reduce.
      await setImmediate();
      if (wedged || turn !== ownTurn) return;
      stopped = await options.stopVotes.vote(generation, step, worldSize, stopVote);
      if (turn !== ownTurn) return;
      const plan = planStep(config, step);
      const share =
        assignment.startShare !== undefined && step === Number(startStep)
          ? assignment.startShare.microBatches
          : shareOfStep(plan, { rank, worldSize, partitions });
      const sampleIds = [...samplesAt(plan, share)];
      const samples = plan.sampleIds.length;
      const counts = { loss: 1 / (step + 1), correct: 2, samples, skipped: false, seconds: 0.01 };
      say({ $case: 'stepCommitted', value: { generation, step: BigInt(step), rank, sampleIds, ...counts } });
      step += 1;
      held = step;
      const whole = step % perEpoch === 0;
      if (whole || stopped) endEpoch(step, rank, worldSize, whole);
    }
    const metrics = { published: BigInt(step), dropped: 1n };
    say({ $case: 'finished', value: { generation, step: BigInt(step), stopped, metrics, stateDigest: '' } });
  };

  call.on('data', ({ message }: CoordinatorMessage) => {
    if (message === undefined) return;
    heard.push(message);
    if (message.$case === 'assignment') {
      generation = message.value.generation;
      stopVote = false;
      turn += 1;
      void train(message.value);
    }
    if (message.$case === 'welcome') say({ $case: 'standby', value: { generation: 0n } });
    if (message.$case === 'interrupt') {
      turn += 1;
      const state =
        held === null
          ? undefined
          : { step: BigInt(held), stateDigest: stateDigest(held), microBatches: [], evaluated: [] };
      say({ $case: 'standby', value: { generation: message.value.generation, held: state } });
    }
    if (message.$case === 'begin') begin();
    if (message.$case === 'stop') stopVote = true;
    if (message.$case === 'goodbye') {
      goodbye = message.value;
      clearInterval(heartbeats);
      call.end();
    }
  });

  const { id: workerId, peerAddress = `127.0.0.1:${7000 + Number(workerId.split('-')[1])}` } = options;
  const { version = '1.0.0' } = options;
  say({ $case: 'register', value: { workerId, peerAddress, host: 'here', pid: process.pid, version } });
  return worker;
}

function evaluate(validCount: number, rank: number, worldSize: number) {
  const all = Array.from({ length: validCount }, (_, id) => id);
  const sampleIds = all.filter((id) => id % worldSize === rank);
  return {
    sampleIds,
    losses: sampleIds.map((id) => id / 4),
    predictions: sampleIds.map((id) => id % 2),
    labelRanks: sampleIds.map((id) => id % 2),
    probabilities: sampleIds.map(() => 0.5),
  };
}
