import { expect } from 'vitest';
import { beginMembership, reduce } from '../../coordinator/membership/membership.js';
import type { Effect, Event } from '../../coordinator/membership/membership-events.js';
import type { Membership } from '../../coordinator/membership/membership-state.js';
import type { Rules } from '../../coordinator/membership/rules.js';
import { divideStep, samplesAt } from '../../plan/phases.js';
import { placePartitions } from '../../plan/placement.js';
import { Activity, type Attachment, MetricsCount, type WorkerMessage } from '../../proto/gen/coordinator.js';
import { fakeKernels } from './kernels.js';

export type Message = NonNullable<WorkerMessage['message']>;
export type EffectOf<Kind extends Effect['kind']> = Extract<Effect, { kind: Kind }>;

/** A membership under a clock of its own: events in, all effects so far kept. */
export interface Driver {
  readonly rules: Rules;
  state: Membership;
  nowMs: number;
  readonly effects: Effect[];
  dispatch(event: Event): readonly Effect[];
  say(session: number, message: Message): readonly Effect[];
  /** Time passes in ticks. */
  wait(durationMs: number): readonly Effect[];
  of<Kind extends Effect['kind']>(kind: Kind): EffectOf<Kind>[];
}

export function driveMembership(overrides: Partial<Rules> = {}): Driver {
  const rules: Rules = {
    ...{ worldSize: 2, minWorkers: 1, maxWorkers: overrides.worldSize ?? 2 },
    version: '1.0.0',
    welcome: {
      runId: 'run',
      runConfigJson: '{}',
      natsUrl: '',
      natsCertificates: false,
      natsToken: '',
      maxWorkers: 2,
      silenceSeconds: 5,
      snapshotSteps: 0n,
    },
    validCount: 4,
    evaluationBatches: 4,
    stepsPerEpoch: 4,
    planOf,
    placePartitions: () => null,
    restoresState: false,
    silenceMs: 5_000,
    leaveMs: 5_000,
    gathering: { timeoutMs: 600_000, logDir: 'run/logs', workerIds: [] },
    stall: { floorMs: 60_000, multiple: 20, firstMs: 600_000, firstSteps: new Set([0]) },
    tickMs: 250,
    endRemedy: 'coordinator start --resume run',
    ...overrides,
  };
  const driver: Driver = {
    rules,
    state: beginMembership(0),
    nowMs: 0,
    effects: [],
    dispatch(event) {
      const { state, effects } = reduce(rules, driver.state, event, driver.nowMs);
      driver.state = state;
      driver.effects.push(...effects);
      return effects;
    },
    say: (session, message) => driver.dispatch({ kind: 'message', session, message: { message } }),
    wait(durationMs) {
      const effects: Effect[] = [];
      for (const end = driver.nowMs + durationMs; driver.nowMs < end; ) {
        driver.nowMs = Math.min(end, driver.nowMs + rules.tickMs);
        effects.push(...driver.dispatch({ kind: 'tick' }));
      }
      return effects;
    },
    of: (kind) => driver.effects.filter((effect): effect is EffectOf<typeof kind> => effect.kind === kind),
  };
  return driver;
}

/** Worker i speaks through session 10 + i. */
export const sessionOf = (index: number) => 10 + index;

export function registerMessage(
  workerId: string,
  port: number,
  version = '1.0.0',
  attachment?: Attachment,
  host = 'here',
): Message {
  const peerAddress = `127.0.0.1:${port}`;
  return {
    $case: 'register',
    value: { workerId, peerAddress, host, pid: port, version, attachment },
  };
}

export function readyMessage(stateDigest = 'same', step = 0, generation = 1n): Message {
  return { $case: 'ready', value: { generation, step: BigInt(step), stateDigest, kernels: fakeKernels } };
}

export function heartbeatMessage(
  generation = 1n,
  evaluated = 0,
  activity = Activity.ACTIVITY_WAITING,
): Message {
  return { $case: 'heartbeat', value: { generation, step: 0n, evaluated, activity } };
}

/** Of a worker that has everything but a place: after Welcome, or after the interruption of `generation`. */
export function standbyMessage(
  generation = 0n,
  heldStep?: number,
  digest = `state-${heldStep}`,
  microBatches: number[] = [],
  evaluated: number[] = [],
): Message {
  const held =
    heldStep === undefined
      ? undefined
      : { step: BigInt(heldStep), stateDigest: digest, microBatches, evaluated };
  return { $case: 'standby', value: { generation, held } };
}

/** Registers a worker and has it make itself ready. */
export function join(driver: Driver, session: number, workerId: string, port = 7000 + session): void {
  driver.say(session, registerMessage(workerId, port));
  driver.say(session, standbyMessage());
}

/** Of each step, with two samples each. */
const microBatches = 4;

/** Ids follow from the step. */
export function planOf(step: number): NonNullable<ReturnType<Rules['planOf']>> {
  return {
    sampleIds: Uint32Array.from({ length: 2 * microBatches }, (_, index) => 2 * microBatches * step + index),
    microBatches: Array.from({ length: microBatches }, (_, position) => {
      return { start: 2 * position, end: 2 * position + 2 };
    }),
  };
}

/** As in a run whose steps are these, by windows of shards. */
export const placeByWindows: Rules['placePartitions'] = (hosts) =>
  placePartitions(
    {
      ...{ seed: 1, trainCount: 16 * microBatches, batchSize: 2 * microBatches, microBatch: 2 },
      order: { kind: 'windows', version: 2, shards: 1, counts: [16 * microBatches] },
    },
    hosts,
  );

/** A rank's share of a step by the plan. */
export function idsOf(step: number, rank: number, worldSize: number): number[] {
  const plan = planOf(step);
  return [...samplesAt(plan, divideStep(plan, worldSize)[rank]!)];
}

export function stepMessage(
  rank: number,
  step: number,
  worldSize = 2,
  change: Partial<Extract<Message, { $case: 'stepCommitted' }>['value']> = {},
): Message {
  const value = {
    generation: 1n,
    step: BigInt(step),
    rank,
    loss: 1 / (step + 1),
    correct: 1,
    samples: 2 * microBatches,
    skipped: false,
    sampleIds: idsOf(step, rank, worldSize),
    seconds: 0.5 + rank,
    ...change,
  };
  return { $case: 'stepCommitted', value };
}

export function epochMessage(
  rank: number,
  step: number,
  change: Partial<Extract<Message, { $case: 'epochCompleted' }>['value']> = {},
): Message {
  const digests = { stateDigest: `state-${step}`, parameterDigest: `parameters-${step}` };
  const at = { generation: 1n, epoch: 0, step: BigInt(step), rank };
  const value = { ...at, whole: true, stopped: change.whole === false, ...digests, ...change };
  return { $case: 'epochCompleted', value };
}

export function evaluationMessage(rank: number, step: number, sampleIds: number[]): Message {
  const losses = sampleIds.map((id) => id / 2);
  const predictions = sampleIds.map((id) => id % 3);
  const probabilities = sampleIds.map((id) => 1 / (id + 1));
  const value = {
    generation: 1n,
    step: BigInt(step),
    epoch: 0,
    rank,
    sampleIds,
    losses,
    predictions,
    labelRanks: predictions,
    probabilities,
  };
  return { $case: 'evaluation', value };
}

export function finishedMessage(step: number, stopped = false, generation = 1n, stateDigest = ''): Message {
  const metrics = MetricsCount.create({ published: 3n, dropped: 1n });
  return { $case: 'finished', value: { generation, step: BigInt(step), stopped, metrics, stateDigest } };
}

export function failedMessage(code: string, message: string, generation = 1n): Message {
  return { $case: 'failed', value: { generation, step: 0n, code, message, remedy: '' } };
}

/** A driver whose workers are registered, started and ready: running at `startStep`. */
export function driveRunning(worldSize = 2, startStep = 0, overrides: Partial<Rules> = {}): Driver {
  const driver = driveMembership({ worldSize, ...overrides });
  driver.dispatch({
    kind: 'start',
    start: { step: startStep, source: startStep === 0 ? 'fresh' : 'checkpoint' },
  });
  for (let index = 0; index < worldSize; index += 1) {
    join(driver, sessionOf(index), `worker-${index}`, 7000 + index);
  }
  for (let index = 0; index < worldSize; index += 1) {
    driver.say(sessionOf(index), readyMessage('same', startStep));
  }
  return driver;
}

/** The sessions that were sent a message of one kind, in order. */
export function sent(driver: Driver, $case: string): number[] {
  return driver
    .of('send')
    .filter((effect) => effect.message.message?.$case === $case)
    .map((effect) => effect.session);
}

/** Whether the last interruption has gradients given up that are being computed. */
export function interruptedAtOnce(driver: Driver): boolean {
  const message = driver
    .of('send')
    .map((effect) => effect.message.message)
    .findLast((each) => each?.$case === 'interrupt');
  return message?.$case === 'interrupt' && message.value.atOnce;
}

/** Who was lost, where and why: one worker. */
export function onlyLoss(driver: Driver): string {
  const losses = driver.of('workerLost');
  expect(losses).toHaveLength(1);
  const { workerId, rank, step, reason } = losses[0]!.value;
  return `${workerId} (rank ${rank}) at step ${step}: ${reason}`;
}

/** The error with which the run ended, which it did once. */
export function onlyRejection(driver: Driver) {
  const rejections = driver.of('rejected');
  expect(rejections).toHaveLength(1);
  return rejections[0]!.error;
}

/** The assignments of a generation. */
export function assigned(driver: Driver, generation: bigint) {
  return driver
    .of('send')
    .flatMap(({ session, message: { message } }) =>
      message?.$case === 'assignment' && message.value.generation === generation
        ? [{ session, ...message.value }]
        : [],
    );
}

/** Of the same: session, start and where the state comes from. */
export function assignments(driver: Driver, generation: bigint) {
  return assigned(driver, generation).map(
    ({ session, startStep, stateSource, statePeerAddress: from, epochEndDue }) => {
      return { session, step: Number(startStep), stateSource, from, epochEndDue };
    },
  );
}

/** Lets time pass in which these sessions are heard from. */
export function beat(driver: Driver, sessions: readonly number[], durationMs: number): void {
  for (let at = 0; at < durationMs; at += 250) {
    driver.wait(250);
    for (const session of sessions) driver.say(session, heartbeatMessage());
  }
}
