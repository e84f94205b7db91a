import { describe, expect, it } from 'vitest';
import {
  driveRunning,
  finishedMessage,
  heartbeatMessage,
  onlyRejection,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';

/** A run of three that leaves states as they were; each rank takes two steps and ends with its digest. */
function drive(digests: readonly string[], restoresState = true) {
  const driver = driveRunning(3, 0, { restoresState });
  for (const step of [0, 1]) {
    for (const rank of [0, 1, 2]) driver.say(sessionOf(rank), stepMessage(rank, step, 3));
  }
  for (const [rank, digest] of digests.entries()) {
    driver.say(sessionOf(rank), finishedMessage(2, false, 1n, digest));
  }
  return driver;
}

describe('a heartbeat', () => {
  it('tells how far its rank is with an evaluation, in its own generation only', () => {
    const driver = driveRunning(2);
    driver.say(sessionOf(1), heartbeatMessage(1n, 0));
    driver.say(sessionOf(1), heartbeatMessage(1n, 32));
    driver.say(sessionOf(0), heartbeatMessage(2n, 64));
    expect(driver.of('evaluating')).toEqual([{ kind: 'evaluating', rank: 1, images: 32 }]);
  });
});

describe('a run that leaves states as they were', () => {
  it('ends before its last planned step, with the digest that all began with', () => {
    const driver = drive(['same', 'same', 'same']);
    expect(driver.of('rejected')).toEqual([]);
    expect(driver.of('resolved')[0]!.result).toMatchObject({
      step: 2,
      stopped: false,
      restoredDigest: 'same',
    });
  });

  it.each([
    [['same', 'other', 'same'], 'worker-1 (rank 1)'],
    [['', 'same', 'other'], 'worker-0 (rank 0), worker-2 (rank 2)'],
    // All agree, and all are wrong.
    [['other', 'other', 'other'], 'worker-0 (rank 0), worker-1 (rank 1), worker-2 (rank 2)'],
  ])('is refused when the digests are %j, naming %s', (digests, names) => {
    const driver = drive(digests);
    const error = onlyRejection(driver);
    expect(error.code).toBe('data-loss');
    expect(error.message).toContain(`the state of ${names} is not the one that the run began with`);
    expect(driver.of('resolved')).toEqual([]);
  });

  it('asks nothing of a run that trains', () => {
    const driver = drive(['', '', ''], false);
    expect(driver.of('resolved')[0]!.result).not.toHaveProperty('restoredDigest');
  });
});
