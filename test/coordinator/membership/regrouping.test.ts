import { describe, expect, it } from 'vitest';
import { StateSource } from '../../../proto/gen/coordinator.js';
import {
  assignments,
  beat,
  driveMembership,
  driveRunning,
  epochMessage,
  evaluationMessage,
  finishedMessage,
  heartbeatMessage,
  interruptedAtOnce,
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

const own = StateSource.STATE_SOURCE_OWN;
const peer = StateSource.STATE_SOURCE_PEER;

describe('a loss', () => {
  it('interrupts the survivors at once, who go on from the state that they hold', () => {
    const driver = driveRunning(3, 4);
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), stepMessage(rank, 4, 3));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'it closed its session' });
    expect(onlyLoss(driver)).toBe('worker-1 (rank 1) at step 5: it closed its session');
    expect(sent(driver, 'interrupt')).toEqual([10, 12]);
    expect(interruptedAtOnce(driver)).toBe(false);
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

  it('is declared at the last look within five seconds of silence, not before', () => {
    const driver = driveRunning();
    beat(driver, [10], 4_500);
    expect(driver.state.kind).toBe('running');
    beat(driver, [10], 250);
    expect(onlyLoss(driver)).toBe('worker-1 (rank 1) at step 0: it was silent for 4.8 s');
    // It may join anew, should it be heard of again.
    expect(driver.of('refuse').map(({ session, error }) => [session, error.code])).toEqual([[11, 'aborted']]);
  });

  it('is not declared because the coordinator itself was paused', () => {
    const driver = driveRunning();
    driver.wait(1_000);
    driver.nowMs += 60_000;
    driver.dispatch({ kind: 'tick' });
    expect(driver.state.kind).toBe('running');
    driver.wait(3_250);
    expect(driver.of('workerLost')).toEqual([]);
    driver.wait(250);
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
      shares: [Uint32Array.of(0, 1, 2, 3), Uint32Array.of(4, 5, 6, 7)],
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
