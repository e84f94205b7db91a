import { describe, expect, it } from 'vitest';
import {
  assignments,
  driveMembership,
  driveRunning,
  failedMessage,
  onlyLoss,
  onlyRejection,
  readyMessage,
  registerMessage,
  sent,
  standbyMessage,
} from '../../support/membership-driver.js';

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
