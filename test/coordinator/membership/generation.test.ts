import { describe, expect, it } from 'vitest';
import {
  assigned,
  driveRunning,
  placeByWindows,
  readyMessage,
  registerMessage,
  standbyMessage,
  stepMessage,
} from '../../support/membership-driver.js';

describe('the next generation', () => {
  it('leaves survivors what they computed of the step that was cut off, and divides what the dead had to do', () => {
    const driver = driveRunning(3, 4);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(11, standbyMessage(1n, 4, 'state-4', [2]));
    driver.say(12, standbyMessage(1n, 4, 'state-4', [3]));
    const shares = assigned(driver, 2n).map(({ startShare }) => startShare?.microBatches);
    expect(shares).toEqual([
      [0, 2],
      [1, 3],
    ]);
    for (const session of [11, 12]) driver.say(session, readyMessage('state-4', 4, 2n));
    const begun = driver.of('decided').at(-1)!.value.begun;
    expect(begun).toMatchObject({ number: 2n, startDivision: shares });
    // Should one of them be lost before it says that it took the step, the other one's state says so.
    const samples = [0, 1, 4, 5].map((place) => 32 + place);
    driver.say(11, stepMessage(0, 4, 2, { generation: 2n, sampleIds: samples }));
    driver.dispatch({ kind: 'closed', session: 12, reason: 'gone' });
    driver.say(11, standbyMessage(2n, 5));
    driver.say(11, readyMessage('state-5', 5, 3n));
    expect(driver.of('stepCommitted').at(-1)!.value).toMatchObject({
      ...{ step: 4, generation: 2n },
      shares: [Uint32Array.from(samples), Uint32Array.of(34, 35, 38, 39)],
    });
    expect(assigned(driver, 3n)[0]!.startShare).toBeUndefined();
  });

  it('places the partitions of the shards anew, and tells each rank its own', () => {
    const driver = driveRunning(3, 4, { placePartitions: placeByWindows });
    const before = placeByWindows(['here', 'here', 'here'])!;
    const told = (generation: bigint) =>
      assigned(driver, generation).map(({ partitions }) => partitions?.microBatches);
    expect(told(1n)).toEqual(before);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(20, registerMessage('worker-9', 7_009, undefined, undefined, 'elsewhere'));
    driver.say(20, standbyMessage());
    for (const session of [11, 12]) driver.say(session, standbyMessage(1n, 4, 'state-4'));
    const after = placeByWindows(['here', 'here', 'elsewhere'])!;
    expect(after).not.toEqual(before);
    expect(told(2n)).toEqual(after);
    for (const session of [11, 12, 20]) driver.say(session, readyMessage('state-4', 4, 2n));
    expect(driver.of('decided').at(-1)!.value.begun).toMatchObject({ number: 2n, partitions: after });
    // One that took the step is lost before it said so: its share follows from its partitions.
    const samplesOf = (rank: number) => after[rank]!.flatMap((own) => [32 + 2 * own, 33 + 2 * own]);
    for (const [rank, session] of [11, 12].entries()) {
      driver.say(session, stepMessage(rank, 4, 3, { generation: 2n, sampleIds: samplesOf(rank) }));
    }
    driver.dispatch({ kind: 'closed', session: 20, reason: 'gone' });
    for (const session of [11, 12]) driver.say(session, standbyMessage(2n, 5));
    for (const session of [11, 12]) driver.say(session, readyMessage('state-5', 5, 3n));
    expect(driver.of('stepCommitted').at(-1)!.value).toMatchObject({
      ...{ step: 4, generation: 2n },
      shares: [0, 1, 2].map((rank) => Uint32Array.from(samplesOf(rank))),
    });
  });

  it('divides of an evaluation that was cut off what nobody has evaluated', () => {
    const driver = driveRunning(3);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(11, standbyMessage(1n, 4, 'state-4', [], [1]));
    driver.say(12, standbyMessage(1n, 4, 'state-4', [], [3]));
    expect(assigned(driver, 2n).map(({ startEvaluation }) => startEvaluation?.microBatches)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('counts nothing that was computed of an earlier step than the one that is adopted', () => {
    const driver = driveRunning(3, 4);
    driver.dispatch({ kind: 'closed', session: 10, reason: 'gone' });
    driver.say(11, stepMessage(1, 4, 3));
    driver.say(11, standbyMessage(1n, 5));
    driver.say(12, standbyMessage(1n, 4, 'state-4', [3], [2]));
    for (const { startShare, startEvaluation } of assigned(driver, 2n)) {
      expect([startShare, startEvaluation]).toEqual([undefined, undefined]);
    }
  });
});
