import { describe, expect, it } from 'vitest';
import { StateSource } from '../../../proto/gen/coordinator.js';
import {
  type Driver,
  driveMembership,
  driveRunning,
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  join,
  onlyLoss,
  onlyRejection,
  readyMessage,
  registerMessage,
  sent,
  sessionOf,
  standbyMessage,
  stepMessage,
} from '../../support/membership-driver.js';

/** The assignments of a generation: session, start and where the state comes from. */
function assignments(driver: Driver, generation: bigint) {
  return driver.of('send').flatMap(({ session, message: { message } }) => {
    if (message?.$case !== 'assignment' || message.value.generation !== generation) return [];
    const { startStep, stateSource, statePeerAddress, epochEndDue } = message.value;
    return [{ session, step: Number(startStep), stateSource, from: statePeerAddress, epochEndDue }];
  });
}

/** Of every Stop: whether the state is to be kept. */
function stops(driver: Driver): boolean[] {
  return driver.of('send').flatMap(({ message: { message } }) => {
    return message?.$case === 'stop' ? [message.value.keepsState] : [];
  });
}

function beat(driver: Driver, sessions: readonly number[], durationMs: number): void {
  for (let at = 0; at < durationMs; at += 250) {
    driver.wait(250);
    for (const session of sessions) driver.say(session, heartbeatMessage());
  }
}

const own = StateSource.STATE_SOURCE_OWN;
const peer = StateSource.STATE_SOURCE_PEER;

describe('a loss', () => {
  it('interrupts the survivors at once, who go on from the state that they hold', () => {
    const driver = driveRunning(3, 4);
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), stepMessage(rank, 4, 3));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'it closed its session' });
    expect(onlyLoss(driver)).toBe('worker-1 (rank 1) at step 5: it closed its session');
    expect(sent(driver, 'interrupt')).toEqual([10, 12]);
    driver.nowMs = 700;
    for (const session of [10, 12]) driver.say(session, standbyMessage(1n, 5));
    expect(assignments(driver, 2n)).toEqual([
      { session: 10, step: 5, stateSource: own, from: '', epochEndDue: false },
      { session: 12, step: 5, stateSource: own, from: '', epochEndDue: false },
    ]);
    for (const session of [10, 12]) driver.say(session, readyMessage('state-5', 5, 2n));
    expect(driver.of('recovered').map(({ value }) => value)).toEqual([
      {
        ...{ generation: 2n, worldSize: 2, step: 5, seconds: 0.7, stepsRedone: 1, copies: [] },
        causes: [{ kind: 'loss', workerId: 'worker-1', reason: 'it closed its session', silentMs: 0 }],
      },
    ]);
    expect(driver.state.kind).toBe('running');
    expect(driver.of('dismiss')).toEqual([]);
  });

  it('is declared after five seconds of silence, not before', () => {
    const driver = driveRunning();
    beat(driver, [10], 4_750);
    expect(driver.state.kind).toBe('running');
    beat(driver, [10], 250);
    expect(onlyLoss(driver)).toBe('worker-1 (rank 1) at step 0: it was silent for 5 s');
    // It may join anew, should it be heard of again.
    expect(driver.of('refuse').map(({ session, error }) => [session, error.code])).toEqual([[11, 'aborted']]);
  });

  it('is not declared because the coordinator itself was paused', () => {
    const driver = driveRunning();
    driver.wait(1_000);
    driver.nowMs += 60_000;
    driver.dispatch({ kind: 'tick' });
    expect(driver.state.kind).toBe('running');
    driver.wait(3_500);
    expect(driver.of('workerLost')).toEqual([]);
    driver.wait(500);
    expect(driver.of('workerLost')).not.toEqual([]);
  });

  it('commits the step that a survivor’s state contains, with the shares of the plan for the dead', () => {
    const driver = driveRunning();
    driver.say(10, stepMessage(0, 0));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 1));
    // Only when the next generation holds it: its one holder might be lost before.
    expect(driver.of('stepCommitted')).toEqual([]);
    driver.say(10, readyMessage('state-1', 1, 2n));
    expect(driver.of('stepCommitted')[0]!.value).toMatchObject({
      ...{ generation: 1n, worldSize: 2, step: 0, seconds: 0.5 },
      shares: [Uint32Array.of(0, 1), Uint32Array.of(2, 3)],
    });
    expect(driver.of('recovered')[0]!.value.stepsRedone).toBe(0);
  });

  it('commits a step that a survivor reports after it was interrupted, too', () => {
    const driver = driveRunning();
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    driver.say(10, stepMessage(0, 0));
    driver.say(10, standbyMessage(1n, 1));
    driver.say(10, readyMessage('state-1', 1, 2n));
    expect(driver.of('stepCommitted').map(({ value }) => value.step)).toEqual([0]);
  });

  it('has those behind copy the most advanced state, and forgets it when its holder is lost meanwhile', () => {
    const driver = driveRunning(3);
    driver.say(10, stepMessage(0, 0, 3));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 1));
    driver.say(12, standbyMessage(1n, 0));
    expect(assignments(driver, 2n)).toMatchObject([
      { session: 10, step: 1, stateSource: own },
      { session: 12, step: 1, stateSource: peer, from: '127.0.0.1:7000' },
    ]);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone too' });
    driver.say(12, standbyMessage(2n, 0));
    driver.say(12, readyMessage('state-0', 0, 3n));
    expect(driver.of('stepCommitted')).toEqual([]);
    expect(driver.state).toMatchObject({ kind: 'running', generation: { number: 3n, startStep: 0 } });
    expect(driver.of('recovered').map(({ value }) => value.causes.length)).toEqual([2]);
  });

  it('of everybody ends with the state lost, and the run may begin again from an earlier one', () => {
    const driver = driveRunning(1, 4);
    driver.say(10, stepMessage(0, 4, 1));
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    expect(driver.of('resolved').map(({ result }) => result)).toMatchObject([{ step: 5, stateLost: true }]);
    driver.dispatch({ kind: 'start', start: { step: 4, source: 'checkpoint' } });
    expect(driver.of('short')).toMatchObject([{ workers: 0, needed: 1 }]);
    join(driver, 20, 'worker-0');
    expect(assignments(driver, 2n)).toMatchObject([
      { session: 20, step: 4, stateSource: StateSource.STATE_SOURCE_CHECKPOINT },
    ]);
  });

  it('below the minimum waits for another, says so once, and has it copy the state', () => {
    const driver = driveRunning(3, 0, { minWorkers: 2 });
    for (const session of [11, 12]) driver.dispatch({ kind: 'closed', session, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 0));
    driver.say(10, heartbeatMessage());
    expect(driver.of('short')).toEqual([{ kind: 'short', workers: 1, needed: 2 }]);
    expect(driver.state.kind).toBe('regrouping');
    join(driver, 21, 'worker-1');
    expect(assignments(driver, 2n)).toMatchObject([
      { session: 10, stateSource: own },
      { session: 21, stateSource: peer, from: '127.0.0.1:7000' },
    ]);
  });

  it('in the evaluation of an epoch has that done again, and nothing else', () => {
    const driver = driveRunning();
    for (let step = 0; step < 4; step += 1) {
      for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, step));
    }
    for (const rank of [0, 1]) driver.say(sessionOf(rank), epochMessage(rank, 4));
    driver.say(10, evaluationMessage(0, 4, [0, 2]));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 4));
    expect(assignments(driver, 2n)).toMatchObject([{ step: 4, epochEndDue: true }]);
    driver.say(10, readyMessage('state-4', 4, 2n));
    expect(driver.of('recovered')[0]!.value.stepsRedone).toBe(0);
    driver.say(10, epochMessage(0, 4, { generation: 2n }));
    const evaluation = evaluationMessage(0, 4, [0, 1, 2, 3]);
    driver.say(10, { ...evaluation, value: { ...evaluation.value, generation: 2n } } as typeof evaluation);
    expect(driver.of('evaluated').map(({ value }) => value.epoch)).toEqual([0]);
  });

  it('during a stop still ends with a stop', () => {
    const driver = driveRunning();
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 0));
    driver.say(10, readyMessage('state-0', 0, 2n));
    expect(driver.state.kind).toBe('stopping');
    driver.say(10, stepMessage(0, 0, 1, { generation: 2n }));
    driver.say(10, finishedMessage(1, true, 2n));
    expect(driver.of('resolved').map(({ result }) => result)).toMatchObject([{ step: 1, stopped: true }]);
  });

  it('ends a run that leaves states as they were: nobody could put that worker’s back', () => {
    const driver = driveRunning(2, 0, { restoresState: true });
    driver.dispatch({ kind: 'closed', session: 11, reason: 'gone' });
    expect(onlyRejection(driver).message).toBe('worker worker-1 (rank 1) was lost at step 0: gone');
  });

  it('frees the place of a worker that falls silent while gathering', () => {
    const driver = driveMembership();
    driver.say(1, registerMessage('worker-0', 7000));
    driver.wait(5_000);
    expect(driver.of('refuse').map(({ session }) => session)).toEqual([1]);
    expect(driver.state).toMatchObject({ kind: 'gathering', members: [] });
    expect(driver.of('rejected')).toEqual([]);
  });

  it('does not matter once all have finished', () => {
    const driver = driveRunning(1);
    driver.say(10, finishedMessage(0));
    driver.wait(60_000);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    expect(driver.of('rejected')).toEqual([]);
  });

  it('refuses to go on when survivors hold different states after the same step', () => {
    const driver = driveRunning(3);
    driver.dispatch({ kind: 'closed', session: 12, reason: 'gone' });
    driver.say(10, standbyMessage(1n, 0));
    driver.say(11, standbyMessage(1n, 0, 'bent'));
    expect(onlyRejection(driver)).toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/different states after step 0: worker-0 \(rank 0\) reported .*bent/),
    });
  });
});

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

  it('cuts the step off when that takes too long', () => {
    const driver = driveRunning(2);
    driver.say(11, { $case: 'leave', value: {} });
    beat(driver, [10, 11], 4_750);
    expect(sent(driver, 'interrupt')).toEqual([]);
    beat(driver, [10, 11], 500);
    expect(sent(driver, 'interrupt')).toEqual([10, 11]);
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

describe('failure', () => {
  it.each(['resource-exhausted', 'internal', 'data-loss', 'cancelled'])(
    'of a worker by %s is its own',
    (code) => {
      const driver = driveRunning();
      driver.say(11, failedMessage(code, 'the disk is full'));
      expect(onlyRejection(driver)).toMatchObject({
        code,
        message: 'worker worker-1 (rank 1) failed at step 0: the disk is full',
      });
    },
  );

  it('with a code that nobody knows is internal', () => {
    const driver = driveRunning();
    driver.say(11, failedMessage('no-such-code', 'oh'));
    expect(onlyRejection(driver).code).toBe('internal');
  });

  it('before any generation ends the run too', () => {
    const driver = driveMembership();
    driver.say(10, registerMessage('worker-0', 7000));
    driver.say(10, failedMessage('failed-precondition', 'no runtime', 0n));
    expect(onlyRejection(driver).message).toMatch(/worker-0 failed at step 0: no runtime/);
  });

  it('that a peer caused interrupts all, whether or not that peer is lost', () => {
    const driver = driveRunning(3);
    driver.say(10, failedMessage('unavailable', 'rank 2 does not answer'));
    expect(sent(driver, 'interrupt')).toEqual([10, 11, 12]);
    for (const session of [10, 11]) driver.say(session, standbyMessage(1n, 0));
    driver.dispatch({ kind: 'closed', session: 12, reason: 'its connection broke' });
    expect(onlyLoss(driver)).toBe('worker-2 (rank 2) at step 0: its connection broke');
    expect(assignments(driver, 2n).map(({ session }) => session)).toEqual([10, 11]);
  });

  it('of peers to reach each other, again and again, ends the run', () => {
    const driver = driveRunning(2);
    for (let generation = 1n; driver.of('rejected').length === 0; generation += 1n) {
      expect(generation).toBeLessThan(20n);
      driver.say(10, failedMessage('unavailable', 'rank 1 does not answer', generation));
      for (const session of [10, 11]) driver.say(session, standbyMessage(generation, 0));
      for (const session of [10, 11]) driver.say(session, readyMessage('state-0', 0, generation + 1n));
    }
    expect(onlyRejection(driver)).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/6 times in a row .* worker-0: rank 1 does not answer/),
    });
  });

  it('to say what it holds is the loss of that worker', () => {
    const driver = driveRunning(2);
    driver.dispatch({ kind: 'closed', session: 99, reason: 'nobody' });
    driver.say(10, failedMessage('aborted', 'the compute thread has ended'));
    // Before it heard that its generation was interrupted.
    driver.say(11, failedMessage('aborted', 'rank 0 ended its exchange'));
    driver.say(10, failedMessage('aborted', 'the compute thread has ended', 0n));
    expect(driver.of('refuse').map(({ session }) => session)).toEqual([10]);
    driver.say(11, standbyMessage(1n, 0));
    expect(assignments(driver, 2n).map(({ session }) => session)).toEqual([11]);
  });
});
