import { describe, expect, it } from 'vitest';
import type { Effect } from '../../../coordinator/membership/membership-state.js';
import {
  type Driver,
  driveMembership,
  epochMessage,
  evaluationMessage,
  failedMessage,
  finishedMessage,
  heartbeatMessage,
  type Message,
  readyMessage,
  registerMessage,
  sessionOf,
  stepMessage,
} from '../../support/membership-driver.js';

/** mulberry32 (public domain): numbers in [0, 1) from a seed. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const stepCount = 4;

/** What a correct worker sends, in order. */
function script(rank: number, worldSize: number): Message[] {
  const messages: Message[] = [registerMessage(`worker-${rank}`, 7000 + rank), readyMessage()];
  for (let step = 0; step < stepCount; step += 1) messages.push(stepMessage(rank, step, worldSize));
  const ids = [0, 1, 2, 3].filter((id) => id % worldSize === rank);
  messages.push(
    evaluationMessage(rank, stepCount, ids),
    epochMessage(rank, stepCount),
    finishedMessage(stepCount),
  );
  return messages;
}

/** An event that a correct cluster never sees, with some probability. */
function disturb(driver: Driver, random: () => number, worldSize: number): void {
  const session = sessionOf(Math.floor(random() * worldSize));
  const rank = Math.floor(random() * (worldSize + 1));
  const disturbances: (() => void)[] = [
    () => driver.dispatch({ kind: 'closed', session, reason: 'gone' }),
    () => driver.dispatch({ kind: 'stop', reason: 'asked' }),
    () => driver.wait(6_000 * random()),
    () => driver.say(session, stepMessage(rank, Math.floor(random() * stepCount), worldSize)),
    () => driver.say(session, stepMessage(rank, 0, worldSize, { generation: 5n })),
    () => driver.say(session, epochMessage(rank, stepCount, { stateDigest: `bent-${random()}` })),
    () => driver.say(session, failedMessage('unavailable', 'a peer')),
    () => driver.say(session, failedMessage('internal', 'a bug')),
    () => driver.say(session, readyMessage('bent')),
    () => driver.say(session, finishedMessage(1, true)),
    () => driver.say(99, registerMessage('worker-99', 7099)),
    () => driver.say(99, heartbeatMessage()),
    () => driver.dispatch({ kind: 'close', ok: false, reason: 'over' }),
  ];
  disturbances[Math.floor(random() * disturbances.length)]!();
}

/**
 * Lets every worker speak its script, interleaved at random, with `trouble` as the chance of a disturbance.
 */
function play(seed: number, worldSize: number, trouble: number): Driver {
  const random = createRandom(seed);
  const driver = driveMembership({ worldSize });
  driver.dispatch({ kind: 'start', start: { step: 0, source: 'fresh' } });
  const scripts = Array.from({ length: worldSize }, (_, rank) => script(rank, worldSize));
  // Nobody speaks of a generation before all are in it.
  for (const [index, messages] of scripts.entries()) driver.say(sessionOf(index), messages.shift()!);
  for (const [index, messages] of scripts.entries()) driver.say(sessionOf(index), messages.shift()!);
  while (scripts.some((messages) => messages.length > 0)) {
    if (random() < trouble) disturb(driver, random, worldSize);
    const index = Math.floor(random() * worldSize);
    const message = scripts[index]!.shift();
    if (message !== undefined) driver.say(sessionOf(index), message);
    driver.nowMs += 20 * random();
  }
  return driver;
}

function positions(effects: readonly Effect[], kind: Effect['kind']): number[] {
  return effects.flatMap((effect, at) => (effect.kind === kind ? [at] : []));
}

function expectInvariants(driver: Driver): void {
  const { effects } = driver;
  const steps = driver.of('stepCommitted').map(({ value }) => value.step);
  expect(steps).toEqual(steps.map((_, index) => index));
  for (const { value } of driver.of('stepCommitted')) {
    expect(value.shares.reduce((sum, share) => sum + share.length, 0)).toBe(value.samples);
  }
  const settled = [...positions(effects, 'resolved'), ...positions(effects, 'rejected')];
  expect(settled.length).toBeLessThanOrEqual(1);
  const [end = effects.length] = settled;
  for (const kind of ['stepCommitted', 'evaluated', 'epochCompleted', 'workerLost'] as const) {
    for (const at of positions(effects, kind)) expect(at).toBeLessThan(end);
  }
  for (const { value } of driver.of('epochCompleted')) {
    // One worker alone cannot disagree.
    if (driver.rules.worldSize > 1) expect(value.stateDigest).toBe(`state-${stepCount}`);
    expect(steps).toHaveLength(stepCount);
  }
  for (const { result } of driver.of('resolved')) expect(result.step).toBe(steps.length);
  const dismissed = driver.of('dismiss').map(({ session }) => session);
  expect(new Set(dismissed).size).toBe(dismissed.length);
  expect(driver.of('assigned').length).toBeLessThanOrEqual(1);
}

describe('membership under random orders', () => {
  it.each([1, 2, 3, 4])('of %i honest workers always ends well', (worldSize) => {
    for (let seed = 0; seed < 200; seed += 1) {
      const driver = play(seed, worldSize, 0);
      expectInvariants(driver);
      expect(driver.of('stepCommitted')).toHaveLength(stepCount);
      expect(driver.of('evaluated')).toHaveLength(1);
      expect(driver.of('epochCompleted')).toHaveLength(1);
      expect(driver.of('resolved')).toHaveLength(1);
    }
  });

  it.each([1, 2, 3, 4])('of %i workers keeps its promises under any trouble', (worldSize) => {
    const ends = new Set<string>();
    for (let seed = 0; seed < 600; seed += 1) {
      const driver = play(seed + 10_000 * worldSize, worldSize, 0.15);
      expectInvariants(driver);
      ends.add(driver.state.kind);
    }
    // The troubles must have been of every kind: some runs end well, some do not.
    expect(ends).toContain('failed');
    expect(ends).toContain('finished');
  });
});
