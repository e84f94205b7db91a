import { describe, expect, it } from 'vitest';
import {
  driveMembership,
  driveRunning,
  epochMessage,
  finishedMessage,
  join,
  onlyRejection,
  readyMessage,
  registerMessage,
  sent,
  sessionOf,
  standbyMessage,
  stepMessage,
} from '../../support/membership-driver.js';
import { permutations } from '../../support/permutations.js';

describe('gathering', () => {
  it('gives the same ranks whatever the order of arrival', () => {
    for (const order of permutations([0, 1, 2, 3])) {
      for (const startAfter of [0, 2, 4]) {
        const driver = driveMembership({ worldSize: 4 });
        for (const [position, index] of order.entries()) {
          if (position === startAfter)
            driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
          join(driver, sessionOf(index), `worker-${index}`);
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
    join(driver, 1, 'worker-10');
    join(driver, 2, 'worker-9');
    const assignments = driver.of('send').flatMap(({ session, message: { message } }) => {
      return message?.$case === 'assignment' ? [{ session, ...message.value }] : [];
    });
    const common = {
      generation: 1n,
      worldSize: 2,
      startStep: 7n,
      stateSource: 2,
      statePeerAddress: '',
      statePeerId: '',
      statePeerDigest: '',
      workerIds: ['worker-9', 'worker-10'],
      epochEndDue: false,
    };
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

  it('refuses more workers than may take part, and everybody once the run is over', () => {
    const driver = driveMembership({ worldSize: 1 });
    join(driver, 1, 'worker-0');
    driver.say(2, registerMessage('worker-1', 7002));
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    driver.say(3, registerMessage('worker-1', 7003));
    driver.say(1, readyMessage());
    driver.say(4, registerMessage('worker-1', 7004));
    driver.say(1, finishedMessage(0));
    driver.say(5, registerMessage('worker-1', 7005));
    expect(driver.of('refuse').map((effect) => effect.session)).toEqual([2, 3, 4, 5]);
    expect(driver.of('refuse')[2]!.error).toMatchObject({
      message: 'worker worker-1 is one too many: the run has its 1 workers',
      remedy: expect.stringContaining('--max-workers'),
    });
    expect(driver.of('refuse')[3]!.error.message).toMatch(/the run is over/);
  });

  it('takes a process that comes through another connection for the same worker', () => {
    const driver = driveMembership();
    join(driver, 1, 'worker-0', 7000);
    join(driver, 2, 'worker-0', 7000);
    expect(driver.of('refuse').map(({ session }) => session)).toEqual([1]);
    expect(driver.state).toMatchObject({ members: [{ session: 2 }] });
  });

  it('waits for workers until they have made themselves ready', () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    join(driver, 1, 'worker-0');
    driver.say(2, registerMessage('worker-1', 7002));
    expect(driver.state.kind).toBe('gathering');
    driver.say(2, standbyMessage());
    expect(driver.state.kind).toBe('preparing');
  });

  it('lets a worker that went away come back', () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    join(driver, 1, 'worker-0');
    driver.dispatch({ kind: 'closed', session: 1, reason: 'gone' });
    join(driver, 2, 'worker-0');
    join(driver, 3, 'worker-1');
    expect(driver.of('refuse')).toEqual([]);
    expect(driver.state.kind).toBe('preparing');
  });

  it('ends the run when a worker that was started here is given up before it has a rank', () => {
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
    for (const index of [0, 1]) join(driver, sessionOf(index), `worker-${index}`);
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
    if (when === 'while preparing') join(driver, 10, 'worker-0');
    if (when !== 'before the start') {
      expect(driver.of('resolved')).toEqual([]);
      driver.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    }
    expect(driver.of('resolved').map(({ result }) => result)).toEqual([
      { step: 6, stopped: true, stateLost: false, metrics: { published: 0, dropped: 0 } },
    ]);
  });
});

describe('starting again', () => {
  const again = { kind: 'start', start: { step: 7, source: 'checkpoint' } } as const;

  function driveFinished() {
    const driver = driveRunning();
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 0));
    driver.dispatch({ kind: 'stop', reason: 'the phase ends' });
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(1, true));
    expect(driver.state.kind).toBe('finished');
    return driver;
  }

  it('forms the next generation of the same workers, at the step that it is told', () => {
    const driver = driveFinished();
    const effects = driver.dispatch(again);
    expect(driver.of('assigned').map(({ generation }) => [generation.number, generation.startStep])).toEqual([
      [1n, 0],
      [2n, 7],
    ]);
    expect(effects.filter(({ kind }) => kind === 'send')).toHaveLength(2);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), readyMessage('saved', 7, 2n));
    expect(driver.state.kind).toBe('running');
    for (const rank of [0, 1]) driver.say(sessionOf(rank), stepMessage(rank, 7, 2, { generation: 2n }));
    expect(driver.of('stepCommitted').map(({ value }) => [value.generation, value.step])).toEqual([
      [1n, 0],
      [2n, 7],
    ]);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(8, false, 2n));
    expect(driver.of('resolved').map(({ result }) => [result.step, result.stopped])).toEqual([
      [1, true],
      [8, false],
    ]);
  });

  it('goes on with those that are left', () => {
    const driver = driveFinished();
    driver.dispatch({ kind: 'closed', session: sessionOf(1), reason: 'its stream ended' });
    driver.dispatch(again);
    expect(driver.state).toMatchObject({ kind: 'preparing', generation: { number: 2n, startStep: 7 } });
    expect(driver.of('assigned').map(({ generation }) => generation.places.length)).toEqual([2, 1]);
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
