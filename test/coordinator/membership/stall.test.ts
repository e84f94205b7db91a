import { afterEach, describe, expect, it } from 'vitest';
import { Activity } from '../../../proto/gen/coordinator.js';
import { destroyFixtures, openFixture, steps } from '../../support/cluster-fixture.js';
import {
  type Driver,
  driveMembership,
  driveRunning,
  epochMessage,
  evaluationMessage,
  finishedMessage,
  heartbeatMessage,
  join,
  onlyLoss,
  onlyRejection,
  readyMessage,
  registerMessage,
  sent,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';

const waiting = Activity.ACTIVITY_WAITING;
const loading = Activity.ACTIVITY_LOADING;
const computing = Activity.ACTIVITY_COMPUTING;

/** Seconds in which all members send heartbeats, rank by rank with these activities; ends when one is lost. */
function beat(driver: Driver, seconds: number, activities: readonly Activity[], evaluated = 0): void {
  for (let second = 0; second < seconds && driver.of('workerLost').length === 0; second += 1) {
    for (const [rank, activity] of activities.entries()) {
      driver.say(sessionOf(rank), heartbeatMessage(1n, evaluated, activity));
    }
    driver.wait(1_000);
  }
}

function takeSteps(driver: Driver, steps: readonly number[], seconds = 0.5): void {
  for (const step of steps) {
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, step, 2, { seconds }));
  }
}

/** Two workers that have taken three steps of half a second. */
function driveStepping(seconds = 0.5): Driver {
  const driver = driveRunning();
  takeSteps(driver, [0, 1, 2], seconds);
  return driver;
}

describe('a generation that comes no further', () => {
  it.each([
    [computing, 'its compute thread is still at work'],
    [loading, 'it is still reading images'],
  ])('loses the worker that is at work (%i), though heartbeats go on', (activity, what) => {
    const driver = driveStepping();
    beat(driver, 59, [waiting, activity]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 2, [waiting, activity]);
    expect(driver.nowMs).toBe(60_000);
    expect(onlyLoss(driver)).toBe(`worker-1 (rank 1) at step 3: it made no progress for 60 s, and ${what}`);
    expect(driver.of('refuse').map(({ session, error }) => [session, error.code])).toEqual([
      // Not one that it joins anew after: its thread still hangs.
      [sessionOf(1), 'deadline-exceeded'],
    ]);
    expect(sent(driver, 'interrupt')).toEqual([sessionOf(0)]);
  });

  it('names all that are at work: a file system that they share', () => {
    const driver = driveStepping();
    beat(driver, 61, [loading, loading]);
    expect(onlyLoss(driver)).toMatch(
      /^worker-0 \(rank 0\) .* reading images; neither did worker-1 \(rank 1\)$/,
    );
  });

  it('names the one with fewer steps when nobody is at work', () => {
    const driver = driveStepping();
    driver.say(sessionOf(0), stepMessage(0, 3));
    beat(driver, 61, [waiting, waiting]);
    expect(onlyLoss(driver)).toMatch(/^worker-1 \(rank 1\) .* waits for other workers$/);
  });

  it('counts from the last thing that any rank did', () => {
    const driver = driveStepping();
    beat(driver, 50, [waiting, computing]);
    driver.say(sessionOf(0), stepMessage(0, 3));
    beat(driver, 50, [waiting, computing]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 11, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('worker-1');
  });

  it('has as much more time as its steps usually take', () => {
    const driver = driveStepping(10);
    beat(driver, 199, [waiting, computing]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 2, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('made no progress for 200 s');
  });

  it('does not take the first step for a usual one', () => {
    const driver = driveRunning();
    takeSteps(driver, [0], 300);
    takeSteps(driver, [1, 2]);
    beat(driver, 61, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('for 60 s');
  });

  it('is ended while it stops, too', () => {
    const driver = driveStepping();
    driver.dispatch({ kind: 'stop', reason: 'enough' });
    beat(driver, 61, [computing, waiting]);
    expect(onlyLoss(driver)).toContain('worker-0 (rank 0)');
  });

  it('is not ended for a pause of the coordinator itself', () => {
    const driver = driveStepping();
    beat(driver, 50, [waiting, computing]);
    driver.nowMs += 3_600_000;
    driver.dispatch({ kind: 'tick' });
    beat(driver, 9, [waiting, computing]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 2, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('worker-1');
  });
});

describe('the first step', () => {
  it.each([
    ['of the run', driveRunning, 0],
    ['after resuming', () => driveRunning(2, 7), 7],
  ])('%s has ten minutes', (_, drive) => {
    const driver = drive();
    beat(driver, 599, [waiting, computing]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 2, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('worker-1 (rank 1)');
  });

  it('of a later phase has them, and is no usual step either', () => {
    const firstSteps = new Set([0, 3]);
    const stall = { floorMs: 60_000, multiple: 20, firstMs: 600_000, firstSteps };
    const driver = driveRunning(2, 0, { stall });
    takeSteps(driver, [0, 1, 2]);
    beat(driver, 500, [computing, computing]);
    takeSteps(driver, [3], 500);
    takeSteps(driver, [4]);
    expect(driver.state.kind).toBe('running');
    beat(driver, 61, [waiting, computing]);
    expect(onlyLoss(driver)).toContain('at step 5: it made no progress for 60 s');
  });
});

describe('gathering', () => {
  const start = { kind: 'start', start: { step: 0, source: 'fresh' } } as const;

  it('ends when a worker that was launched does not get ready in time, whoever else is to join', () => {
    const workerIds = ['worker-0', 'worker-1'];
    const driver = driveMembership({
      ...{ worldSize: 3, gathering: { timeoutMs: 600_000, logDir: 'run/logs', workerIds } },
    });
    beat(driver, 700, []);
    driver.dispatch(start);
    join(driver, sessionOf(0), 'worker-0');
    // Registered, and not ready.
    driver.say(sessionOf(1), registerMessage('worker-1', 7001));
    beat(driver, 599, [waiting, waiting]);
    expect(driver.state.kind).toBe('gathering');
    beat(driver, 2, [waiting, waiting]);
    expect(onlyRejection(driver)).toMatchObject({
      code: 'deadline-exceeded',
      message: 'of the workers started here, worker-1 did not get ready within 600 s',
      remedy: expect.stringContaining('read in run/logs what it says'),
    });
  });

  it('waits without end for workers that people join', () => {
    const driver = driveMembership();
    driver.dispatch(start);
    beat(driver, 10_000, []);
    expect(driver.state.kind).toBe('gathering');
  });
});

describe('preparing', () => {
  it('ends after ten minutes, and names who is not ready', () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    for (const index of [0, 1]) join(driver, sessionOf(index), `worker-${index}`);
    beat(driver, 100, [computing, computing]);
    driver.say(sessionOf(0), readyMessage());
    beat(driver, 599, [waiting, waiting]);
    expect(driver.state.kind).toBe('preparing');
    beat(driver, 2, [waiting, waiting]);
    expect(onlyLoss(driver)).toMatch(/^worker-1 \(rank 1\) at step 0/);
  });
});

describe('an epoch’s end', () => {
  it('goes on as long as images are evaluated, and no longer', () => {
    const driver = driveStepping();
    for (let judged = 1; judged <= 10; judged += 1) beat(driver, 50, [waiting, computing], judged);
    expect(driver.state.kind).toBe('running');
    beat(driver, 61, [waiting, computing], 10);
    expect(onlyLoss(driver)).toContain('worker-1');
  });

  it('is ended when a snapshot or an evaluation does not come', () => {
    for (const [first, second] of [
      [epochMessage(0, 3), evaluationMessage(0, 3, [0, 2])],
      [evaluationMessage(0, 3, [0, 2]), epochMessage(0, 3)],
    ]) {
      const driver = driveStepping();
      driver.say(sessionOf(0), first!);
      driver.say(sessionOf(0), second!);
      beat(driver, 61, [waiting, computing]);
      expect(onlyLoss(driver)).toContain('worker-1 (rank 1) at step 3');
    }
  });

  it('does not blame a worker that has finished', () => {
    const driver = driveStepping();
    driver.say(sessionOf(0), finishedMessage(3));
    beat(driver, 61, [computing, waiting]);
    expect(onlyLoss(driver)).toContain('worker-1 (rank 1)');
  });
});

describe('a cluster', () => {
  afterEach(destroyFixtures);

  it('goes on without a worker that sends heartbeats and takes no step', async () => {
    const fixture = await openFixture(
      2,
      {
        stepCommitted: ({ step }) => {
          if (step === 2) fixture.workers[1]!.wedge(computing);
        },
      },
      { stall: { floorMs: 1_500 } },
    );
    const result = fixture.cluster.run({ step: 0, source: 'fresh' });
    const wedged = [fixture.join('worker-0'), fixture.join('worker-1')][1]!;
    expect((await result).step).toBe(steps);
    expect(fixture.losses).toMatchObject([
      { workerId: 'worker-1', reason: expect.stringContaining('compute thread is still at work') },
    ]);
    expect((await wedged.done).error?.details).toContain('worker worker-1 was removed');
  });
});
