import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Encounter, type Happening, openClusterModel } from '../../support/cluster-model.js';

const totalSteps = 8;
/** The same sequences every time, unless RONDO_TEST_SEED asks for others and RONDO_TEST_RUNS for more. */
const search = {
  seed: Number(process.env.RONDO_TEST_SEED ?? 1),
  numRuns: Number(process.env.RONDO_TEST_RUNS ?? 150),
};

/** Sequences long enough to reach the second epoch; they shrink to the few happenings that matter. */
function happenings(workers: number, weights: { trouble: number; crash?: number }) {
  const worker = fc.nat({ max: workers - 1 });
  const one = (kind: Exclude<Happening['kind'], 'crash' | 'wait'>) =>
    worker.map((number): Happening => ({ kind, worker: number }));
  return fc.array(
    fc.oneof(
      { weight: 60, arbitrary: one('act') },
      { weight: 6, arbitrary: one('start') },
      { weight: weights.trouble, arbitrary: one('kill') },
      { weight: weights.trouble, arbitrary: one('hang') },
      { weight: Math.min(2, weights.trouble), arbitrary: one('cut') },
      { weight: weights.trouble, arbitrary: one('wake') },
      { weight: weights.trouble, arbitrary: one('leave') },
      { weight: weights.trouble, arbitrary: one('complain') },
      { weight: 3 * (weights.crash ?? 0), arbitrary: one('reconnect') },
      { weight: weights.crash ?? 0, arbitrary: fc.constant<Happening>({ kind: 'crash' }) },
      { weight: 3, arbitrary: fc.nat({ max: 6_000 }).map((ms): Happening => ({ kind: 'wait', ms })) },
    ),
    { minLength: 0, maxLength: 200, size: 'max' },
  );
}

/**
 * Whatever happens, the run ends with each step committed once, in order, and each epoch closed once.
 *
 * @returns what it had to survive.
 */
function expectWhole(
  options: Pick<Trial, 'workers' | 'minWorkers' | 'windows'>,
  sequence: readonly Happening[],
): ReadonlySet<Encounter> {
  const model = openClusterModel({ ...options, totalSteps });
  for (const happening of sequence) model.happen(happening);
  model.finish();
  expect(model.driver.of('rejected').map(({ error }) => error.message)).toEqual([]);
  expect(model.result).toMatchObject({ step: totalSteps, stopped: false, stateLost: false });
  expect(model.ledger.committed).toEqual(Array.from({ length: totalSteps }, (_, step) => step));
  expect(model.ledger.closedEpochs).toEqual([0, 1]);
  return model.met;
}

/** Losses that come at once, or when they are least welcome. */
const losses: readonly Encounter[] = [
  ...(['loss while another is heard of', 'loss while copying', 'loss of who is copied from'] as const),
  ...(['waking within the silence limit', 'waking after having been lost'] as const),
];
const lostReport: Encounter = 'loss of who was cut off at the end of an epoch';
const leaves: readonly Encounter[] = [
  ...(['below the minimum by a leave', 'going on after a leave below the minimum'] as const),
];
const crashes = (['gathering', 'preparing', 'running', 'stopping', 'regrouping'] as const).map(
  (kind): Encounter => `crash while ${kind}`,
);

interface Trial {
  readonly workers: number;
  readonly minWorkers: number;
  readonly trouble: number;
  readonly crash?: number;
  /** Each micro-batch of a step has a partition of the shards. */
  readonly windows?: boolean;
  /** Sequences, in multiples of the usual number: those of much trouble seldom come far. */
  readonly times?: number;
  /** What the sequences come to, taken together. */
  readonly toMeet?: readonly Encounter[];
}

function tryOut(trial: Trial): void {
  const { workers, crash = 0, times = 1, toMeet = [] } = trial;
  const met = new Set<Encounter>();
  const one = (sequence: readonly Happening[]) => {
    for (const encounter of expectWhole(trial, sequence)) met.add(encounter);
  };
  const numRuns = times * search.numRuns;
  fc.assert(fc.property(happenings(workers, trial), one), { ...search, numRuns });
  expect([...met]).toEqual(expect.arrayContaining([...toMeet]));
  if (crash === 0) expect(met).not.toContain('going back from a state that is held');
}

describe('a run under any sequence of losses, leaves, joins and silences', () => {
  const trouble = 2;
  it.each<Trial>([
    { workers: 1, minWorkers: 1, trouble },
    { workers: 2, minWorkers: 1, trouble, toMeet: losses },
    { workers: 2, minWorkers: 2, trouble, toMeet: leaves },
    { workers: 3, minWorkers: 2, trouble, toMeet: [lostReport] },
    { workers: 4, minWorkers: 1, trouble, toMeet: losses },
  ])('of $workers workers, at least $minWorkers, takes every step once', tryOut);

  const crash = 3;
  it.each<Trial>([
    { workers: 1, minWorkers: 1, trouble, crash },
    { workers: 2, minWorkers: 2, trouble, crash },
    { workers: 3, minWorkers: 1, trouble, crash, toMeet: crashes },
  ])(
    'of $workers workers, at least $minWorkers, takes every step once though the coordinator dies',
    (trial) => {
      const { workers, minWorkers } = trial;
      tryOut({ workers, minWorkers, trouble: 0, crash });
      tryOut(trial);
    },
  );

  it('goes on when almost everything that happens is trouble', () => {
    tryOut({ workers: 3, minWorkers: 1, trouble: 12, times: 2, toMeet: losses });
  });

  it('takes every step once where each micro-batch has a partition of the shards', () => {
    tryOut({ workers: 3, minWorkers: 1, trouble: 6, crash: 2, windows: true });
  });
});
