import { describe, expect, it } from 'vitest';
import { StateSource } from '../../../proto/gen/coordinator.js';
import {
  assignments,
  beat,
  type Driver,
  driveMembership,
  driveRunning,
  epochMessage,
  failedMessage,
  finishedMessage,
  interruptedAtOnce,
  join,
  readyMessage,
  registerMessage,
  sent,
  sessionOf,
  standbyMessage,
  stepMessage,
} from '../../support/membership-driver.js';

/** Of every Stop: whether the state is to be kept. */
function stops(driver: Driver): boolean[] {
  return driver.of('send').flatMap(({ message: { message } }) => {
    return message?.$case === 'stop' ? [message.value.keepsState] : [];
  });
}

const own = StateSource.STATE_SOURCE_OWN;
const peer = StateSource.STATE_SOURCE_PEER;

describe('a join', () => {
  it('waits for the end of the step under way, then copies the state', () => {
    const driver = driveRunning(2, 0, { maxWorkers: 3 });
    driver.say(30, registerMessage('worker-2', 7030));
    expect(sent(driver, 'stop')).toEqual([]);
    driver.say(30, standbyMessage());
    expect(sent(driver, 'stop')).toEqual([10, 11]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    // The state inside the epoch is nothing to keep.
    expect(stops(driver)).toEqual([false, false]);
    driver.nowMs = 4_000;
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1, true));
    driver.nowMs = 4_500;
    for (const session of [10, 11]) driver.say(session, standbyMessage(1n, 1));
    expect(assignments(driver, 2n)).toMatchObject([
      { session: 10, step: 1, stateSource: own },
      { session: 11, step: 1, stateSource: own },
      { session: 30, step: 1, stateSource: peer },
    ]);
    // What it copies must be that.
    const { message } = driver.of('send').findLast(({ session }) => session === 30)!.message;
    expect(message?.$case === 'assignment' && message.value.statePeerDigest).toBe('state-1');
    for (const session of [10, 11]) driver.say(session, readyMessage('state-1', 1, 2n));
    const copied = readyMessage('state-1', 1, 2n);
    driver.say(30, {
      ...copied,
      value: { ...copied.value, copy: { bytes: 2_000n, seconds: 0.5 } },
    } as typeof copied);
    expect(driver.of('recovered')[0]!.value).toMatchObject({
      // The step that they took meanwhile is not counted.
      ...{ seconds: 0.5, worldSize: 3, stepsRedone: 0, causes: [{ kind: 'join', workerId: 'worker-2' }] },
      copies: [{ to: 'worker-2', from: 'worker-0', bytes: 2_000, seconds: 0.5, megabytesPerSecond: 0.004 }],
    });
  });

  it('of several copies from the first ranks, one each', () => {
    const driver = driveRunning(3, 0, { maxWorkers: 5 });
    for (const [session, id] of [
      [30, 'worker-3'],
      [31, 'worker-4'],
    ] as const) {
      join(driver, session, id);
    }
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), stepMessage(rank, 0, 3));
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), finishedMessage(1, true));
    for (const session of [10, 11, 12]) driver.say(session, standbyMessage(1n, 1));
    const from = assignments(driver, 2n).map((assignment) => assignment.from);
    expect(from.map((address) => address.split(':').at(-1))).toEqual(['', '', '', '7000', '7001']);
  });

  it('for which the ranks stop just when the run is to end has them keep their state, with another step if need be', () => {
    for (const isHeardInTime of [true, false]) {
      const driver = driveRunning(2, 0, { maxWorkers: 3 });
      join(driver, 30, 'worker-2');
      driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
      expect(stops(driver)).toEqual([false, false, true, true]);
      driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
      expect(stops(driver)).toHaveLength(4);
      for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
      if (isHeardInTime)
        for (const rank of [0, 1]) driver.say(sessionOf(rank), epochMessage(rank, 1, { whole: false }));
      for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1, true));
      const results = () => driver.of('resolved').map(({ result }) => result);
      if (isHeardInTime) {
        expect(results()).toMatchObject([{ step: 1, stopped: true }]);
        continue;
      }
      expect(results()).toEqual([]);
      for (const session of [10, 11]) driver.say(session, standbyMessage(1n, 1));
      for (const session of [10, 11, 30]) driver.say(session, readyMessage('state-1', 1, 2n));
      expect(stops(driver).slice(4)).toEqual([true, true, true]);
      expect(driver.state.kind).toBe('stopping');
    }
  });

  it('that fails while it makes itself ready is warned of and does not touch the run', () => {
    const driver = driveRunning(2, 0, { maxWorkers: 3 });
    driver.say(30, registerMessage('worker-2', 7030));
    driver.say(30, failedMessage('resource-exhausted', 'no memory', 0n));
    expect(driver.of('warning').map(({ text }) => text)).toEqual([
      'worker worker-2 failed at step 0: no memory',
    ]);
    expect(driver.of('refuse').map(({ session }) => session)).toEqual([30]);
    expect(driver.state).toMatchObject({ kind: 'running', standby: [] });
  });

  it('of a run that ends with the step under way is too late', () => {
    const driver = driveRunning(2, 0, { maxWorkers: 3 });
    join(driver, 30, 'worker-2');
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1));
    expect(driver.of('resolved').map(({ result }) => result)).toMatchObject([{ step: 1, stopped: false }]);
  });
});

describe('a leave', () => {
  it('waits for the end of the step under way: none is taken again', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    expect(sent(driver, 'stop')).toEqual([10, 11]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1, true));
    for (const session of [10, 11]) driver.say(session, standbyMessage(1n, 1));
    expect(driver.of('dismiss')).toEqual([
      { kind: 'dismiss', session: 11, ok: false, reason: 'it asked to leave' },
    ]);
    driver.say(10, readyMessage('state-1', 1, 2n));
    expect(driver.of('recovered')[0]!.value).toMatchObject({ worldSize: 1, step: 1, stepsRedone: 0 });
    expect(driver.of('workerLost')).toEqual([]);
  });

  it('that does not wait for the step is named when it is counted as a loss', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    driver.dispatch({ kind: 'closed', session: 11, reason: 'its session ended' });
    expect(driver.of('workerLost').map(({ value }) => value.reason)).toEqual([
      'it asked to leave, and ended before the step did: its session ended',
    ]);
  });

  it('cuts the step off when that takes too long', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    beat(driver, [10, 11], 4_750);
    expect(sent(driver, 'interrupt')).toEqual([]);
    beat(driver, [10, 11], 500);
    expect(sent(driver, 'interrupt')).toEqual([10, 11]);
    // Nobody computes gradients to the end meanwhile.
    expect(interruptedAtOnce(driver)).toBe(true);
  });

  it('below the minimum, of the only one that holds the state, lets the next one copy it', () => {
    const driver = driveRunning(1, 4);
    driver.say(10, { $case: 'leave', value: {} });
    expect(stops(driver)).toEqual([true]);
    driver.say(10, stepMessage(0, 4, 1));
    driver.say(10, epochMessage(0, 5, { whole: false, epoch: 1 }));
    // A checkpoint of it is the run's only way on if nobody comes.
    expect(driver.of('epochCompleted').map(({ value }) => value.step)).toEqual([5]);
    driver.say(10, finishedMessage(5, true));
    driver.say(10, standbyMessage(1n, 5));
    expect(driver.of('short')).toMatchObject([{ workers: 0, needed: 1 }]);
    expect(driver.of('dismiss')).toEqual([]);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    expect(driver.of('resolved').map(({ result }) => result)).toMatchObject([{ step: 5, stateLost: true }]);
  });

  it('of one after the other asks to keep the state once nobody stays', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    expect(stops(driver)).toEqual([false, false]);
    driver.say(10, { $case: 'leave', value: {} });
    expect(stops(driver).slice(2)).toEqual([true, true]);
  });

  it('of all, the last when the step under way ends, has them take one more, whose state is kept', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1, true));
    driver.say(10, { $case: 'leave', value: {} });
    for (const session of [10, 11]) driver.say(session, standbyMessage(1n, 1));
    expect(assignments(driver, 2n)).toMatchObject([
      { session: 10, step: 1, stateSource: own },
      { session: 11, step: 1, stateSource: own },
    ]);
    expect(driver.of('dismiss')).toEqual([]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), readyMessage('state-1', 1, 2n));
    expect(stops(driver).slice(-2)).toEqual([true, true]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 1, 2, { generation: 2n }));
    for (const rank of [0, 1])
      driver.say(sessionOf(rank), epochMessage(rank, 2, { whole: false, epoch: 0, generation: 2n }));
    expect(driver.of('epochCompleted').map(({ value }) => value.step)).toEqual([2]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(2, true, 2n));
    for (const session of [10, 11]) driver.say(session, standbyMessage(2n, 2));
    // Whoever fetches the checkpoint still needs them.
    expect(assignments(driver, 3n)).toEqual([]);
    expect(driver.of('short')).toMatchObject([{ workers: 0, needed: 1 }]);
  });

  it('before a run has begun is granted at once', () => {
    const driver = driveMembership();
    join(driver, 10, 'worker-0');
    driver.say(10, { $case: 'leave', value: {} });
    expect(driver.of('dismiss').map(({ session, ok }) => [session, ok])).toEqual([[10, false]]);
    expect(driver.state).toMatchObject({ kind: 'gathering', members: [] });
  });

  it('before a run has begun is no reason to wait: it begins with those that stay', () => {
    const driver = driveMembership({ worldSize: 3, minWorkers: 2, maxWorkers: 3 });
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    for (const rank of [0, 1]) join(driver, sessionOf(rank), `worker-${rank}`);
    driver.say(12, registerMessage('worker-2', 7_002));
    expect(assignments(driver, 1n)).toEqual([]);
    driver.say(12, { $case: 'leave', value: {} });
    expect(assignments(driver, 1n)).toMatchObject([{ session: 10 }, { session: 11 }]);
  });

  it('before a run has begun leaves those that are fewer than the minimum waiting', () => {
    const driver = driveMembership({ worldSize: 2, minWorkers: 2, maxWorkers: 2 });
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    join(driver, 10, 'worker-0');
    driver.say(11, registerMessage('worker-1', 7_001));
    driver.say(11, { $case: 'leave', value: {} });
    expect(driver.state).toMatchObject({ kind: 'gathering' });
    join(driver, 12, 'worker-1');
    expect(assignments(driver, 1n)).toMatchObject([{ session: 10 }, { session: 12 }]);
  });
});
