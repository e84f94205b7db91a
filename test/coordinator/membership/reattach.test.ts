import { describe, expect, it } from 'vitest';
import { type Adopted, awaitReturn } from '../../../coordinator/membership/reattach.js';
import type { CoordinatorMessage } from '../../../proto/gen/coordinator.js';
import {
  type Driver,
  driveMembership,
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  join,
  readyMessage,
  registerMessage,
  sent,
  sessionOf,
  standbyMessage,
  stepMessage,
} from '../../support/membership-driver.js';

/** Two workers had begun generation 3 at step 1, and the ledger has two steps. */
const left: Adopted = {
  newest: 3n,
  begun: {
    ...{
      number: 3n,
      startStep: 1,
      epochEndDue: false,
      startDivision: null,
      partitions: null,
      startDigest: 'state-1',
    },
    places: [0, 1].map((rank) => ({
      ...{ rank, workerId: `worker-${rank}`, address: `127.0.0.1:${7000 + rank}`, pid: 7000 + rank },
      host: 'here',
    })),
  },
  ...{ committed: 2, closedEpoch: -1 },
};

function driveLeft(changes: Partial<Adopted> = {}): Driver {
  const driver = driveMembership();
  driver.state = awaitReturn(driver.rules, { ...left, ...changes }, 0);
  driver.dispatch({ kind: 'start', start: { step: 2, source: 'checkpoint' } });
  return driver;
}

function comeBack(driver: Driver, index: number, training = true, generation = 3n): void {
  const attachment = { generation, training };
  driver.say(sessionOf(index), registerMessage(`worker-${index}`, 7000 + index, undefined, attachment));
}

const step = (rank: number, number: number) => stepMessage(rank, number, 2, { generation: 3n });

function welcomes(driver: Driver) {
  return driver
    .of('send')
    .flatMap(({ session, message: { message } }: { session: number; message: CoordinatorMessage }) =>
      message?.$case === 'welcome' ? [{ session, attached: message.value.attached }] : [],
    );
}

describe('a coordinator that takes the place of one that died', () => {
  it('lets the generation go on when all its workers are back, and hears what it missed', () => {
    const driver = driveLeft();
    comeBack(driver, 1);
    driver.say(11, step(1, 2));
    driver.say(11, step(1, 3));
    expect(driver.state.kind).toBe('regrouping');
    comeBack(driver, 0);
    expect(welcomes(driver)).toEqual([
      { session: 11, attached: { steps: 2n, epochs: 0 } },
      { session: 10, attached: { steps: 2n, epochs: 0 } },
    ]);
    expect(driver.state).toMatchObject({ kind: 'running', generation: { number: 3n } });
    for (const number of [2, 3]) driver.say(10, step(0, number));
    expect(driver.of('stepCommitted').map(({ value }) => [value.generation, value.step])).toEqual([
      [3n, 2],
      [3n, 3],
    ]);
    for (const rank of [0, 1]) {
      driver.say(sessionOf(rank), epochMessage(rank, 4, { generation: 3n }));
      const { $case, value } = evaluationMessage(rank, 4, [rank, rank + 2]);
      driver.say(sessionOf(rank), { $case, value: { ...value, generation: 3n } } as never);
    }
    expect(driver.of('evaluated')).toHaveLength(1);
    expect(driver.of('epochCompleted')).toHaveLength(1);
    for (const rank of [0, 1]) driver.say(sessionOf(rank), finishedMessage(4, false, 3n));
    expect(driver.of('resolved').map(({ result }) => result.step)).toEqual([4]);
    expect(sent(driver, 'interrupt')).toEqual([]);
    expect(driver.of('recovered').map(({ value }) => [value.causes, value.stepsRedone])).toEqual([
      [[{ kind: 'restart' }], 0],
    ]);
  });

  it.each<[string, (driver: Driver) => void]>([
    ['is silent', (driver) => void driver.wait(11_000)],
    ['was started again', (driver) => join(driver, 12, 'worker-0', 7100)],
    ['has joined another generation', (driver) => comeBack(driver, 0, true, 9n)],
  ])('goes on without a worker that %s, from the state that the others hold', (_, happen) => {
    const driver = driveLeft();
    comeBack(driver, 1);
    driver.say(11, step(1, 2));
    const beats = setBeats(driver);
    happen(driver);
    beats.end();
    expect(sent(driver, 'interrupt')).toEqual([11]);
    driver.say(11, standbyMessage(3n, 3));
    expect(driver.state).toMatchObject({ kind: 'preparing', generation: { number: 4n, startStep: 3 } });
    const members = driver.state.kind === 'preparing' ? driver.state.members : [];
    for (const { session } of members) driver.say(session, readyMessage('state-3', 3, 4n));
    expect(driver.of('stepCommitted').map(({ value }) => value.step)).toEqual([2]);
    expect(driver.of('workerLost').map(({ value }) => value.workerId)).toEqual(['worker-0']);
  });

  it.each([
    ['stands by', (driver: Driver) => comeBack(driver, 0, false)],
    ['fails because of a peer', (driver: Driver) => fail(driver)],
  ])('interrupts all when one %s, as after any interruption', (_, happen) => {
    const driver = driveLeft();
    happen(driver);
    comeBack(driver, 1);
    expect(sent(driver, 'interrupt')).toEqual([10, 11]);
    for (const index of [0, 1]) driver.say(sessionOf(index), standbyMessage(3n, 2));
    expect(driver.state).toMatchObject({ kind: 'preparing', generation: { number: 4n, startStep: 2 } });
  });

  it('gives no number twice to a generation that somebody may have been told of', () => {
    const driver = driveLeft({ newest: 5n });
    for (const index of [0, 1]) comeBack(driver, index);
    expect(sent(driver, 'interrupt')).toEqual([10, 11]);
    for (const index of [0, 1]) driver.say(sessionOf(index), standbyMessage(5n, 2));
    expect(driver.state).toMatchObject({ kind: 'preparing', generation: { number: 6n } });
  });

  it('goes back to a checkpoint when nobody comes', () => {
    const driver = driveLeft();
    driver.wait(11_000);
    expect(driver.of('resolved').map(({ result }) => result.stateLost)).toEqual([true]);
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    join(driver, 20, 'worker-0', 7000);
    expect(driver.state).toMatchObject({ kind: 'preparing', generation: { number: 4n, startStep: 0 } });
  });

  it('takes up a stop that was asked for, and changes the membership where the other did', () => {
    const stopped = driveLeft();
    stopped.dispatch({ kind: 'stop', reason: 'Ctrl-C' });
    for (const index of [0, 1]) comeBack(stopped, index);
    expect(stopped.state.kind).toBe('stopping');

    const driver = driveLeft();
    for (const index of [0, 1]) comeBack(driver, index);
    for (const index of [0, 1]) driver.say(sessionOf(index), finishedMessage(2, true, 3n));
    expect(driver.of('resolved')).toEqual([]);
    expect(driver.state.kind).toBe('regrouping');
  });

  it('has said what it decided before it tells anybody', () => {
    const driver = driveMembership();
    driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
    for (const index of [0, 1]) join(driver, sessionOf(index), `worker-${index}`);
    const kinds = driver.effects.flatMap((effect) => {
      if (effect.kind === 'decided') return [`decided ${effect.value.newest} ${effect.value.begun?.number}`];
      return effect.kind === 'send' ? [effect.message.message!.$case] : [];
    });
    expect(kinds.slice(2)).toEqual(['decided 1 undefined', 'assignment', 'assignment']);
    for (const index of [0, 1]) driver.say(sessionOf(index), readyMessage());
    const [decided, begin] = [
      driver.effects.findLastIndex(({ kind }) => kind === 'decided'),
      sent(driver, 'begin'),
    ];
    expect(driver.effects[decided]).toMatchObject({ value: { newest: 1n, begun: { startDigest: 'same' } } });
    expect(driver.effects.slice(decided + 1).map(({ kind }) => kind)).toEqual(begin.map(() => 'send'));
  });

  it('tells the ranks what they need not keep', () => {
    const driver = driveLeft();
    for (const index of [0, 1]) comeBack(driver, index);
    for (const index of [0, 1]) driver.say(sessionOf(index), step(index, 2));
    const told = driver.dispatch({ kind: 'synced' });
    expect(told).toEqual(
      [10, 11].map((session) => ({
        ...{ kind: 'send', session },
        message: { message: { $case: 'recorded', value: { steps: 3n, epochs: 0 } } },
      })),
    );
  });
});

function fail(driver: Driver): void {
  comeBack(driver, 0);
  driver.say(10, failedMessage('unavailable', 'a peer', 3n));
}

/** Those that are back are heard while time passes. */
function setBeats(driver: Driver): { end(): void } {
  const { wait } = driver;
  driver.wait = (durationMs) => {
    for (let waited = 0; waited < durationMs; waited += 1_000) {
      driver.say(11, heartbeatMessage(3n));
      wait(1_000);
    }
    return [];
  };
  return {
    end() {
      driver.wait = wait;
    },
  };
}
