import { describe, expect, it } from 'vitest';
import {
  type Driver,
  driveMembership,
  driveRunning,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  onlyRejection,
  registerMessage,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';

describe('loss', () => {
  it('ends the run at once when a session closes, naming worker, rank and step', () => {
    const driver = driveRunning(3, 4);
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), stepMessage(rank, 4, 3));
    driver.dispatch({ kind: 'closed', session: 11, reason: 'it closed its session' });
    expect(onlyRejection(driver)).toMatchObject({
      code: 'unavailable',
      message: 'worker worker-1 (rank 1) was lost at step 5: it closed its session',
      remedy: 'coordinator start --resume run',
    });
    expect(driver.of('workerLost').map(({ value }) => value)).toEqual([
      { workerId: 'worker-1', rank: 1, step: 5, reason: 'it closed its session' },
    ]);
    expect(driver.of('dismiss').map(({ session, ok }) => [session, ok])).toEqual([
      [10, false],
      [12, false],
    ]);
  });

  it('is declared after five seconds of silence, not before', () => {
    const driver = driveRunning();
    const beat = (durationMs: number) => {
      for (let at = 0; at < durationMs; at += 250) {
        driver.wait(250);
        driver.say(10, heartbeatMessage());
      }
    };
    beat(4_750);
    expect(driver.state.kind).toBe('running');
    beat(250);
    expect(onlyRejection(driver).message).toBe(
      'worker worker-1 (rank 1) was lost at step 0: it was silent for 5 s',
    );
    expect(driver.of('refuse').map(({ session, error }) => [session, error.code])).toEqual([
      [11, 'deadline-exceeded'],
    ]);
  });

  it('is not declared because the coordinator itself was paused', () => {
    const driver = driveRunning();
    driver.wait(1_000);
    driver.nowMs += 60_000;
    driver.dispatch({ kind: 'tick' });
    expect(driver.state.kind).toBe('running');
    driver.wait(3_500);
    expect(driver.state.kind).toBe('running');
    driver.wait(500);
    expect(driver.state.kind).toBe('failed');
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
    expect(driver.of('resolved')).toHaveLength(1);
    expect(driver.of('rejected')).toEqual([]);
    expect(driver.of('workerLost')).toEqual([]);
  });

  it('happens once: later losses are quiet', () => {
    const driver = driveRunning(3);
    for (const session of [12, 11, 10]) driver.dispatch({ kind: 'closed', session, reason: 'gone' });
    expect(onlyRejection(driver).message).toMatch(/worker-2/);
    expect(driver.of('workerLost')).toHaveLength(1);
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

  it('before any assignment ends the run too', () => {
    const driver = driveMembership();
    driver.say(10, registerMessage('worker-0', 7000));
    driver.say(10, failedMessage('failed-precondition', 'no runtime', 0n));
    expect(onlyRejection(driver).message).toMatch(/worker-0 failed at step 0: no runtime/);
  });

  const beatOthers = (driver: Driver, sessions: readonly number[], durationMs: number) => {
    for (let at = 0; at < durationMs; at += 500) {
      driver.wait(500);
      for (const session of sessions) driver.say(session, heartbeatMessage());
    }
  };

  it('reported by a worker is attributed to the peer that is lost next', () => {
    const driver = driveRunning(3);
    driver.say(10, failedMessage('unavailable', 'rank 2 does not answer'));
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(11, failedMessage('aborted', 'the ring broke'));
    expect(driver.state.kind).toBe('running');
    driver.dispatch({ kind: 'closed', session: 12, reason: 'its connection broke' });
    expect(onlyRejection(driver).message).toMatch(/worker-2 \(rank 2\) was lost/);
  });

  it('reported by a worker is attributed to the peer that fell silent', () => {
    const driver = driveRunning(3);
    beatOthers(driver, [10, 11], 3_000);
    driver.say(10, failedMessage('deadline-exceeded', 'rank 2 sends nothing'));
    beatOthers(driver, [11], 2_500);
    expect(onlyRejection(driver).message).toMatch(/worker-2 \(rank 2\) was lost.*silent/);
  });

  it('that nothing explains is believed after a second', () => {
    const driver = driveRunning(3);
    driver.say(10, failedMessage('unavailable', 'rank 2 does not answer'));
    beatOthers(driver, [11, 12], 500);
    expect(driver.of('rejected')).toEqual([]);
    beatOthers(driver, [11, 12], 1_000);
    expect(onlyRejection(driver).message).toMatch(/worker-0 \(rank 0\) failed.*rank 2 does not answer/);
  });
});
