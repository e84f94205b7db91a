import { describe, expect, it } from 'vitest';
import {
  type Moment,
  measureFaults,
  quantiles,
  trainingSeconds,
} from '../../../coordinator/chaos/figures.js';
import type { WatchedEvent } from '../../../coordinator/chaos/run-events.js';

const said = (atMs: number, event: WatchedEvent): Moment => ({ atMs, what: 'event', event });
const step = (atMs: number, number: number) =>
  said(atMs, { kind: 'step', step: number, samples: 8, seconds: 0.5 });
const lost = (atMs: number, worker: string) => said(atMs, { kind: 'worker-lost', worker, reason: 'gone' });
const rolledBack = (atMs: number) => said(atMs, { kind: 'rolled-back', fromStep: 4, toStep: 1 });
const recovered = (atMs: number, kind: string, workerId: string, stepsRedone = 0, worldSize = 2) =>
  said(atMs, {
    ...{ kind: 'recovered', worldSize, step: 1, causes: [{ kind, workerId }], seconds: 0.7 },
    stepsRedone,
  });
const fault = (atMs: number, kind: 'kill' | 'stop' | 'coordinator', worker: string | null): Moment => ({
  ...{ atMs, what: 'fault', kind, worker },
});

describe('what faults cost', () => {
  it('is counted from the fault to its detection, from there to the next generation, and to its first step', () => {
    const moments = [
      ...[step(500, 0), fault(800, 'kill', 'worker-1'), lost(850, 'worker-1')],
      // Of the step that was committed late: the next generation has not begun.
      ...[step(900, 1), recovered(1_500, 'loss', 'worker-1', 1), step(2_000, 2)],
      recovered(3_000, 'join', 'worker-1'),
      ...[fault(4_000, 'stop', 'worker-0'), lost(9_000, 'worker-0')],
      ...[recovered(9_500, 'loss', 'worker-0'), step(10_000, 3)],
    ];
    expect(measureFaults(moments, 2)).toEqual({
      detection: {
        closed: { count: 1, p50: 0.05, p95: 0.05, largest: 0.05 },
        silent: { count: 1, p50: 5, p95: 5, largest: 5 },
      },
      recovery: { count: 2, p50: 0.5, p95: 0.65, largest: 0.65 },
      stepping: { count: 2, p50: 1, p95: 1.15, largest: 1.15 },
      evaluating: null,
      pause: { count: 1, p50: 0.7, p95: 0.7, largest: 0.7 },
      coordinatorBack: null,
      ...{ stepsRedone: 1, losses: 2, stepsRolledBack: 0, needlessRollbacks: 0 },
    });
    expect(trainingSeconds(moments)).toBe(10);
  });

  it('tells the rest of an evaluation that was cut off from a step', () => {
    const moments = [
      ...[step(500, 0), fault(800, 'kill', 'worker-1'), lost(900, 'worker-1')],
      ...[recovered(1_500, 'loss', 'worker-1'), said(2_900, { kind: 'epoch', epoch: 0 }), step(5_000, 1)],
    ];
    expect(measureFaults(moments, 2)).toMatchObject({
      ...{ recovery: { count: 1, p50: 0.6 }, stepping: null, evaluating: { count: 1, p50: 2 } },
      stepsRedone: 0,
    });
  });

  it('counts what the death of the coordinator has taken again', () => {
    const prepared = { kind: 'prepared', epochs: 2, stepsPerEpoch: 6, startStep: 6 } as const;
    const moments = [
      ...[step(500, 6), step(1_000, 7), fault(1_100, 'kill', 'worker-0'), fault(1_200, 'coordinator', null)],
      ...[said(5_000, prepared), step(6_200, 6)],
    ];
    expect(measureFaults(moments, 2)).toMatchObject({
      ...{ detection: { closed: null }, recovery: null },
      coordinatorBack: { count: 1, p50: 5 },
      stepsRolledBack: 2,
    });
  });

  it('counts a rollback as needless where a worker that held the state was let alone', () => {
    const [one, other] = [fault(100, 'kill', 'worker-1'), fault(200, 'kill', 'worker-0')];
    const needless = (...moments: Moment[]) => measureFaults(moments, 2).needlessRollbacks;
    expect(needless(one, rolledBack(900))).toBe(1);
    expect(needless(one, one, rolledBack(900))).toBe(1);
    expect(needless(one, other, rolledBack(900))).toBe(0);
    expect(needless(fault(100, 'coordinator', null), rolledBack(900))).toBe(0);
    // Two go on, of whom one is hit; or one alone is.
    expect(needless(one, recovered(150, 'loss', 'worker-1'), other, rolledBack(900))).toBe(1);
    expect(needless(one, recovered(150, 'loss', 'worker-1', 0, 1), other, rolledBack(900))).toBe(0);
  });

  it('says nothing of a fault that nobody noticed', () => {
    expect(measureFaults([step(0, 0), fault(1, 'stop', 'worker-0'), step(2, 1)], 2)).toMatchObject({
      detection: { closed: null, silent: null },
      stepping: null,
      evaluating: null,
    });
  });
});

it('takes quantiles by nearest rank', () => {
  expect(quantiles([])).toBeNull();
  expect(quantiles([5, 1, 4, 2, 3])).toEqual({ count: 5, p50: 3, p95: 5, largest: 5 });
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect(quantiles(hundred)).toEqual({ count: 100, p50: 50, p95: 95, largest: 100 });
});
