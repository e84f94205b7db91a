import { describe, expect, it } from 'vitest';
import {
  driveRunning,
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  onlyRejection,
  sent,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';
import { permutations } from '../../support/permutations.js';

describe('reports of the ranks', () => {
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
      samples: 8,
      skipped: false,
      seconds: 1.5,
      shares: [Uint32Array.of(40, 41, 42, 43), Uint32Array.of(44, 45, 46, 47)],
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
    ['holds a state twice', [epochMessage(0, 0), epochMessage(0, 0)], /the state after step 0 twice/],
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
    expect(onlyRejection(driver).message).toMatch(/step 0 counted 8 samples, its shares hold 5/);
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
      holders: [
        { workerId: 'worker-0', address: '127.0.0.1:7000' },
        { workerId: 'worker-1', address: '127.0.0.1:7001' },
      ],
      stopped: false,
      generation: 1n,
      whole: true,
    });
  });

  it('takes the states inside an epoch for what they are, in whatever order ranks are heard', () => {
    const driver = driveRunning();
    const inside = { whole: false, stopped: false };
    for (const rank of [0, 1]) {
      for (const step of [0, 1, 2, 3]) {
        driver.say(sessionOf(rank), stepMessage(rank, step));
        if (step > 0) driver.say(sessionOf(rank), epochMessage(rank, step + 1, step < 3 ? inside : {}));
      }
    }
    const taken = driver.of('epochCompleted').map(({ value }) => [value.step, value.whole, value.stopped]);
    expect(taken).toEqual([
      [2, false, false],
      [3, false, false],
      [4, true, false],
    ]);
  });

  it('lets the next epoch begin when every rank has evaluated and digested the last, in whatever order', () => {
    const ends = [
      { session: 10, message: epochMessage(0, 1) },
      { session: 11, message: epochMessage(1, 1) },
      { session: 10, message: evaluationMessage(0, 1, [0, 1]) },
      { session: 11, message: evaluationMessage(1, 1, [2, 3]) },
    ];
    for (const order of permutations(ends)) {
      const driver = driveRunning();
      for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
      for (const { session, message } of order) {
        expect(sent(driver, 'epochClosed')).toEqual([]);
        driver.say(session, message);
      }
      expect(sent(driver, 'epochClosed')).toEqual([10, 11]);
      // The ledger is written first: a coordinator that dies then asks for nothing that is gone.
      const kinds = driver.effects.slice(-3).map(({ kind }) => kind);
      expect(kinds[0]).toMatch(/evaluated|epochCompleted/);
      expect(kinds.slice(1)).toEqual(['send', 'send']);
    }
  });

  it('asks for a state inside the epoch while it runs, and only then', () => {
    const driver = driveRunning();
    driver.dispatch({ kind: 'snapshot' });
    expect(sent(driver, 'snapshot')).toEqual([10, 11]);
    driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    driver.dispatch({ kind: 'snapshot' });
    expect(sent(driver, 'snapshot')).toHaveLength(2);
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
      labelRanks: Uint32Array.of(0, 1, 2, 0),
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
      { step: 1, stopped: false, stateLost: false, metrics: { published: 6, dropped: 2 } },
    ]);
    expect(driver.of('dismiss')).toEqual([]);
    driver.dispatch({ kind: 'close', ok: true, reason: 'done' });
    expect(driver.of('dismiss').map(({ session, ok }) => [session, ok])).toEqual([
      [10, true],
      [11, true],
    ]);
    expect(driver.of('rejected')).toEqual([]);
  });

  it('does not resolve while a rank owes a digest', () => {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.say(10, epochMessage(0, 1));
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1));
    expect(onlyRejection(driver).message).toMatch(/some still owe a digest of the state after step 1/);
  });
});
