import { describe, expect, it } from 'vitest';
import {
  type Driver,
  driveMembership,
  driveRunning,
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  readyMessage,
  registerMessage,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';
import { permutations } from '../../support/permutations.js';

function sent(driver: Driver, $case: string): number[] {
  return driver
    .of('send')
    .filter((effect) => effect.message.message?.$case === $case)
    .map((effect) => effect.session);
}

function onlyRejection(driver: Driver) {
  const rejections = driver.of('rejected');
  expect(rejections).toHaveLength(1);
  return rejections[0]!.error;
}

describe('gathering', () => {
  it('gives the same ranks whatever the order of arrival', () => {
    for (const order of permutations([0, 1, 2, 3])) {
      for (const startAfter of [0, 2, 4]) {
        const driver = driveMembership({ worldSize: 4 });
        for (const [position, index] of order.entries()) {
          if (position === startAfter)
            driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
          driver.say(sessionOf(index), registerMessage(`worker-${index}`, 7000 + index));
        }
        if (startAfter === 4) driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
        const [assigned] = driver.of('assigned');
        expect(assigned?.generation.places.map((place) => place.workerId)).toEqual([
          'worker-0',
          'worker-1',
          'worker-2',
          'worker-3',
        ]);
        expect(driver.state.kind).toBe('preparing');
      }
    }
  });

  it('counts worker ids as numbers, and tells every rank its place', () => {
    const driver = driveMembership({ worldSize: 2 });
    driver.dispatch({ kind: 'start', start: { step: 7, source: 'checkpoint' } });
    driver.say(1, registerMessage('worker-10', 7001));
    driver.say(2, registerMessage('worker-9', 7002));
    const assignments = driver.of('send').flatMap(({ session, message: { message } }) => {
      return message?.$case === 'assignment' ? [{ session, ...message.value }] : [];
    });
    const common = { generation: 1n, worldSize: 2, startStep: 7n, stateSource: 2, statePeerAddress: '' };
    const peerAddresses = ['127.0.0.1:7002', '127.0.0.1:7001'];
    expect(assignments).toEqual([
      { session: 2, rank: 0, ...common, peerAddresses },
      { session: 1, rank: 1, ...common, peerAddresses },
    ]);
  });

  it.each([
    ['of another version', registerMessage('worker-1', 7001, '0.9.0'), /0\.9\.0.*1\.0\.0/],
    ['with an id that is taken', registerMessage('worker-0', 7001), /worker-0 has already registered/],
    ['with an address that is taken', registerMessage('worker-1', 7000), /127\.0\.0\.1:7000.*worker-0/],
    ['without an id', registerMessage('', 7001), /not a worker id/],
    ['with an id that is no token', registerMessage('a..*', 7001), /not a worker id/],
    ['without a port', registerMessage('worker-1', 70_000), /HOST:PORT/],
  ])('refuses a worker %s', (_, message, reason) => {
    const driver = driveMembership({ worldSize: 3 });
    driver.say(1, registerMessage('worker-0', 7000));
    driver.say(2, message);
    expect(driver.of('refuse').map((effect) => effect.session)).toEqual([2]);
    expect(driver.of('refuse')[0]!.error.message).toMatch(reason);
    expect(sent(driver, 'welcome')).toEqual([1]);
  });

  it('refuses late comers before, during and after the run', () => {
    const driver = driveMembership({ worldSize: 1 });
    driver.say(1, registerMessage('worker-0', 7000));
    driver.say(2, registerMessage('worker-1', 7001));
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    driver.say(3, registerMessage('worker-1', 7001));
    driver.say(1, readyMessage());
    driver.say(4, registerMessage('worker-1', 7001));
    driver.say(1, finishedMessage(0));
    driver.say(5, registerMessage('worker-1', 7001));
    expect(driver.of('refuse').map((effect) => effect.session)).toEqual([2, 3, 4, 5]);
    expect(driver.of('refuse')[2]!.error.message).toMatch(
      /worker-1 comes too late: the run has its 1 workers/,
    );
    expect(driver.of('refuse')[3]!.error.message).toMatch(/the run is over/);
  });

  it('lets a worker that went away come back', () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    driver.say(1, registerMessage('worker-0', 7000));
    driver.dispatch({ kind: 'closed', session: 1, reason: 'gone' });
    driver.say(2, registerMessage('worker-0', 7000));
    driver.say(3, registerMessage('worker-1', 7001));
    expect(driver.of('refuse')).toEqual([]);
    expect(driver.state.kind).toBe('preparing');
  });

  it('ends the run when a process that was started here dies before it has a rank', () => {
    const driver = driveMembership();
    driver.say(1, registerMessage('worker-0', 7000));
    const error = new Error('no runtime') as never;
    driver.dispatch({ kind: 'exited', error });
    expect(onlyRejection(driver)).toBe(error);
    expect(driver.of('dismiss').map(({ session, ok }) => ({ session, ok }))).toEqual([
      { session: 1, ok: false },
    ]);
  });

  it('does not hear sessions that never registered', () => {
    const driver = driveMembership();
    expect(driver.say(1, readyMessage())).toEqual([]);
    expect(driver.state.kind).toBe('gathering');
  });
});

describe('preparing', () => {
  const prepared = () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    for (const index of [0, 1]) {
      driver.say(sessionOf(index), registerMessage(`worker-${index}`, 7000 + index));
    }
    return driver;
  };

  it('begins when all are ready, and a double Ready counts once', () => {
    const driver = prepared();
    driver.say(10, readyMessage());
    driver.say(10, readyMessage());
    expect(sent(driver, 'begin')).toEqual([]);
    driver.say(11, readyMessage());
    expect(sent(driver, 'begin')).toEqual([10, 11]);
    driver.say(10, readyMessage());
    expect(driver.state.kind).toBe('running');
    expect(sent(driver, 'begin')).toEqual([10, 11]);
  });

  it('does not take the Ready of another generation', () => {
    const driver = prepared();
    driver.say(10, readyMessage('same', 0, 2n));
    driver.say(11, readyMessage());
    expect(driver.state.kind).toBe('preparing');
  });

  it('refuses to begin from different states', () => {
    const driver = prepared();
    driver.say(10, readyMessage('one'));
    driver.say(11, readyMessage('other'));
    expect(onlyRejection(driver)).toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/worker-0 \(rank 0\) reported one; worker-1 \(rank 1\) reported other/),
    });
    expect(sent(driver, 'begin')).toEqual([]);
  });

  it.each([
    ['at the wrong step', [readyMessage('same', 3)], /ready at step 3, not at step 0/],
    ['with two digests', [readyMessage('one'), readyMessage('two')], /two different digests/],
    ['stepping before Begin', [stepMessage(0, 0)], /stepCommitted before Begin/],
  ])('ends the run for a worker %s', (_, messages, reason) => {
    const driver = prepared();
    for (const message of messages) driver.say(10, message);
    expect(onlyRejection(driver).message).toMatch(reason);
  });

  it('names a worker that is lost before Begin', () => {
    const driver = prepared();
    driver.dispatch({ kind: 'closed', session: 11, reason: 'its connection broke' });
    expect(onlyRejection(driver).message).toBe(
      'worker worker-1 (rank 1) was lost at step 0: its connection broke',
    );
  });
});

describe('running', () => {
  it('commits each step once, in order, however reports interleave', () => {
    const reports = [0, 1, 2].flatMap((rank) => [0, 1].map((step) => ({ rank, step })));
    for (const order of permutations(reports)) {
      const inOrder = order.every(({ rank, step }, at) => {
        return step === 0 || order.findIndex((other) => other.rank === rank && other.step === 0) < at;
      });
      if (!inOrder) continue;
      const driver = driveRunning(3);
      for (const { rank, step } of order) driver.say(sessionOf(rank), stepMessage(rank, step, 3));
      expect(driver.of('stepCommitted').map(({ value }) => value.step)).toEqual([0, 1]);
      expect(driver.of('rejected')).toEqual([]);
    }
  });

  it('carries what the ranks reported', () => {
    const driver = driveRunning(2, 5);
    driver.say(11, stepMessage(1, 5));
    driver.say(10, stepMessage(0, 5));
    expect(driver.of('stepCommitted')[0]!.value).toEqual({
      generation: 1n,
      worldSize: 2,
      step: 5,
      loss: 1 / 6,
      correct: 1,
      samples: 4,
      skipped: false,
      seconds: 1.5,
      shares: [Uint32Array.of(20, 21), Uint32Array.of(22, 23)],
    });
  });

  it('takes a loss that is not a number for equal on all ranks', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) {
      driver.say(sessionOf(rank), stepMessage(rank, 0, 2, { loss: Number.NaN, skipped: true }));
    }
    expect(driver.of('stepCommitted')[0]!.value).toMatchObject({ loss: Number.NaN, skipped: true });
  });

  it.each([
    ['loss', { loss: 0.999_999_999_999 }],
    ['correct', { correct: 2 }],
    ['skipped', { skipped: true }],
  ])('names the rank whose %s differs', (_, change) => {
    const driver = driveRunning(3);
    for (const rank of [0, 1, 2]) {
      driver.say(sessionOf(rank), stepMessage(rank, 0, 3, rank === 1 ? change : {}));
    }
    const error = onlyRejection(driver);
    expect(error.code).toBe('data-loss');
    expect(error.message).toMatch(
      /about step 0: worker-1 \(rank 1\) reported .*the majority, worker-0 \(rank 0\), worker-2 \(rank 2\)/,
    );
    expect(driver.of('stepCommitted')).toEqual([]);
  });

  it.each([
    ['skips a step', [stepMessage(0, 1)], /step 1 where step 0 was due/],
    ['repeats a step', [stepMessage(0, 0), stepMessage(0, 0)], /step 0 where step 1 was due/],
    ['speaks as another rank', [stepMessage(1, 0)], /as rank 1/],
    ['finishes twice', [finishedMessage(0), finishedMessage(0)], /twice that it has finished/],
    ['evaluates twice', [evaluationMessage(0, 0, [0]), evaluationMessage(0, 0, [0])], /epoch 0 twice/],
    ['ends an epoch twice', [epochMessage(0, 0), epochMessage(0, 0)], /end of epoch 0 twice/],
    ['ends before its last step', [finishedMessage(1)], /its end after step 1, having taken 0/],
  ])('ends the run for a worker that %s', (_, messages, reason) => {
    const driver = driveRunning();
    for (const message of messages) driver.say(10, message);
    expect(onlyRejection(driver).message).toMatch(reason);
    expect(driver.of('stepCommitted')).toEqual([]);
  });

  it('ends the run when shares do not add up', () => {
    const driver = driveRunning();
    driver.say(10, stepMessage(0, 0, 2, { sampleIds: [0] }));
    driver.say(11, stepMessage(1, 0));
    expect(onlyRejection(driver).message).toMatch(/step 0 counted 4 samples, its shares hold 3/);
  });

  it('ignores messages of another generation', () => {
    const driver = driveRunning();
    driver.say(10, stepMessage(0, 9, 2, { generation: 7n }));
    driver.say(10, failedMessage('internal', 'of yesterday', 9n));
    driver.say(10, finishedMessage(40, false, 2n));
    expect(driver.state.kind).toBe('running');
    driver.say(10, stepMessage(0, 0));
    driver.say(11, stepMessage(1, 0));
    expect(driver.of('stepCommitted')).toHaveLength(1);
  });

  it('completes an epoch when all digests agree', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.say(11, epochMessage(1, 1));
    expect(driver.of('epochCompleted')).toEqual([]);
    driver.say(10, epochMessage(0, 1));
    expect(driver.of('epochCompleted')[0]!.value).toEqual({
      epoch: 0,
      step: 1,
      stateDigest: 'state-1',
      parameterDigest: 'parameters-1',
      holderAddress: '127.0.0.1:7000',
      generation: 1n,
      whole: true,
    });
  });

  it.each([
    ['state', { stateDigest: 'bent' }],
    ['parameters', { parameterDigest: 'bent' }],
    ['wholeness', { whole: false }],
  ])('stops the run and says whose %s differs', (_, change) => {
    const driver = driveRunning(4);
    for (const rank of [0, 1, 2, 3]) driver.say(sessionOf(rank), stepMessage(rank, 0, 4));
    for (const rank of [0, 1, 2, 3]) {
      driver.say(sessionOf(rank), epochMessage(rank, 1, rank === 2 ? change : {}));
    }
    const error = onlyRejection(driver);
    expect(error.message).toMatch(/replicas differ at the end of epoch 0: worker-2 \(rank 2\) reported/);
    expect(error.message).toMatch(/majority, worker-0 \(rank 0\), worker-1 \(rank 1\), worker-3 \(rank 3\)/);
    expect(driver.of('epochCompleted')).toEqual([]);
    expect(driver.of('dismiss').map(({ session, ok }) => [session, ok])).toEqual([
      [10, false],
      [11, false],
      [12, false],
      [13, false],
    ]);
  });

  it('merges the shares of an evaluation', () => {
    const driver = driveRunning();
    driver.say(11, evaluationMessage(1, 0, [3, 0]));
    driver.say(10, evaluationMessage(0, 0, [1, 2]));
    expect(driver.of('evaluated')[0]!.value).toEqual({
      epoch: 0,
      step: 0,
      sampleIds: Uint32Array.of(0, 1, 2, 3),
      losses: Float32Array.of(0, 0.5, 1, 1.5),
      predictions: Uint32Array.of(0, 1, 2, 0),
      probabilities: Float32Array.of(1, 1 / 2, 1 / 3, 1 / 4),
    });
  });

  it.each([
    ['misses one', [1], /nobody sent sample 2/],
    ['repeats one', [1, 3], /worker-1 \(rank 1\) sent sample 3 a second time/],
    ['invents one', [1, 4], /sample 4, unknown/],
  ])('ends the run for an evaluation that %s', (_, share, reason) => {
    const driver = driveRunning();
    driver.say(10, evaluationMessage(0, 0, share));
    driver.say(11, evaluationMessage(1, 0, [3, 0]));
    expect(onlyRejection(driver).message).toMatch(reason);
  });

  it('resolves when all have finished, with their metrics added up', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.say(10, finishedMessage(1));
    expect(driver.of('resolved')).toEqual([]);
    driver.say(11, finishedMessage(1));
    expect(driver.of('resolved').map(({ result }) => result)).toEqual([
      { step: 1, stopped: false, metrics: { published: 6, dropped: 2 } },
    ]);
    expect(driver.of('dismiss')).toEqual([]);
    driver.dispatch({ kind: 'close', ok: true, reason: 'done' });
    expect(driver.of('dismiss').map(({ session, ok }) => [session, ok])).toEqual([
      [10, true],
      [11, true],
    ]);
    expect(driver.of('rejected')).toEqual([]);
  });

  it('does not resolve while an epoch lacks a report', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.say(10, epochMessage(0, 1));
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1));
    expect(onlyRejection(driver).message).toMatch(/left epoch 0 without a report/);
  });
});

describe('stopping', () => {
  it.each([0, 1, 2, 3])('asks everybody once, and %i more steps may follow', (more) => {
    const driver = driveRunning();
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    expect(sent(driver, 'stop')).toEqual([10, 11]);
    for (let step = 0; step < more; step += 1) {
      for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, step));
    }
    for (const rank of [0, 1]) {
      driver.say(sessionOf(rank), epochMessage(rank, more, { whole: false }));
      driver.say(sessionOf(rank), finishedMessage(more, true));
    }
    expect(driver.of('stepCommitted')).toHaveLength(more);
    expect(driver.of('epochCompleted')[0]!.value).toMatchObject({ step: more, whole: false });
    expect(driver.of('resolved')[0]!.result).toMatchObject({ step: more, stopped: true });
  });

  it('refuses workers that stop at different steps', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.say(10, finishedMessage(1, true));
    driver.say(11, stepMessage(1, 1));
    driver.say(11, finishedMessage(2, true));
    expect(onlyRejection(driver).message).toMatch(/end at different steps/);
  });

  it.each(['before the start', 'while gathering', 'while preparing'])('ends at once %s', (when) => {
    const driver = driveMembership({ worldSize: 1 });
    if (when === 'before the start') driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.dispatch({ kind: 'start', start: { step: 6, source: 'checkpoint' } });
    if (when === 'while preparing') driver.say(10, registerMessage('worker-0', 7000));
    if (when !== 'before the start') {
      expect(driver.of('resolved')).toEqual([]);
      driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    }
    expect(driver.of('resolved').map(({ result }) => result)).toEqual([
      { step: 6, stopped: true, metrics: { published: 0, dropped: 0 } },
    ]);
  });

  it('notices a loss as before', () => {
    const driver = driveRunning();
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.dispatch({ kind: 'closed', session: 10, reason: 'its connection broke' });
    expect(onlyRejection(driver).message).toMatch(/worker-0 \(rank 0\) was lost at step 0/);
  });
});

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

  it('that a witness reports is blamed on the worker that is lost next', () => {
    const driver = driveRunning(3);
    driver.say(10, failedMessage('unavailable', 'rank 2 does not answer'));
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(11, failedMessage('aborted', 'the ring broke'));
    expect(driver.state.kind).toBe('running');
    driver.dispatch({ kind: 'closed', session: 12, reason: 'its connection broke' });
    expect(onlyRejection(driver).message).toMatch(/worker-2 \(rank 2\) was lost/);
  });

  it('that a witness reports is blamed on the one that fell silent', () => {
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

describe('closing', () => {
  it.each(['gathering', 'running'])('ends a run that is %s', (kind) => {
    const driver = kind === 'running' ? driveRunning(1) : driveMembership({ worldSize: 2 });
    if (kind === 'gathering') driver.say(10, registerMessage('worker-0', 7000));
    expect(driver.state.kind).toBe(kind);
    driver.dispatch({ kind: 'close', ok: false, reason: 'no more' });
    driver.dispatch({ kind: 'close', ok: false, reason: 'no more' });
    expect(onlyRejection(driver)).toMatchObject({
      code: 'cancelled',
      message: 'the cluster was closed: no more',
    });
    expect(driver.of('dismiss')).toHaveLength(1);
  });
});
