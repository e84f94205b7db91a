import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Happening, openClusterModel } from '../../support/cluster-model.js';

const totalSteps = 8;
/** The same sequences every time, unless RONDO_TEST_SEED asks for others and RONDO_TEST_RUNS for more. */
const search = {
  seed: Number(process.env.RONDO_TEST_SEED ?? 1),
  numRuns: Number(process.env.RONDO_TEST_RUNS ?? 150),
};

/** Sequences long enough to reach the second epoch; they shrink to the few happenings that matter. */
function happenings(workers: number, weights: { trouble: number; crash?: number }) {
  const worker = fc.nat({ max: workers - 1 });
  const one = (kind: 'act' | 'start' | 'reconnect' | 'kill' | 'hang' | 'leave' | 'complain') =>
    worker.map((number): Happening => ({ kind, worker: number }));
  return fc.array(
    fc.oneof(
      { weight: 60, arbitrary: one('act') },
      { weight: 6, arbitrary: one('start') },
      { weight: weights.trouble, arbitrary: one('kill') },
      { weight: weights.trouble, arbitrary: one('hang') },
      { weight: weights.trouble, arbitrary: one('leave') },
      { weight: weights.trouble, arbitrary: one('complain') },
      { weight: 3 * (weights.crash ?? 0), arbitrary: one('reconnect') },
      { weight: weights.crash ?? 0, arbitrary: fc.constant<Happening>({ kind: 'crash' }) },
      { weight: 3, arbitrary: fc.nat({ max: 6_000 }).map((ms): Happening => ({ kind: 'wait', ms })) },
    ),
    { minLength: 0, maxLength: 200, size: 'max' },
  );
}

/** Whatever happens, the run ends with each step committed once, in order, and each epoch closed once. */
function expectWhole(workers: number, minWorkers: number, sequence: readonly Happening[]): void {
  const model = openClusterModel({ workers, minWorkers, totalSteps });
  for (const happening of sequence) model.happen(happening);
  model.finish();
  expect(model.driver.of('rejected').map(({ error }) => error.message)).toEqual([]);
  expect(model.result).toMatchObject({ step: totalSteps, stopped: false, stateLost: false });
  expect(model.committed).toEqual(Array.from({ length: totalSteps }, (_, step) => step));
  expect(model.closedEpochs).toEqual([0, 1]);
}

describe('a run under any sequence of losses, leaves, joins and silences', () => {
  it.each([
    [1, 1],
    [2, 1],
    [2, 2],
    [3, 2],
    [4, 1],
  ])('of %i workers, at least %i, takes every step once', (workers, minWorkers) => {
    fc.assert(
      fc.property(happenings(workers, { trouble: 2 }), (sequence) =>
        expectWhole(workers, minWorkers, sequence),
      ),
      search,
    );
  });

  it.each([
    [1, 1],
    [2, 2],
    [3, 1],
  ])(
    'of %i workers, at least %i, takes every step once though the coordinator dies',
    (workers, minWorkers) => {
      for (const trouble of [0, 2]) {
        fc.assert(
          fc.property(happenings(workers, { trouble, crash: 3 }), (sequence) =>
            expectWhole(workers, minWorkers, sequence),
          ),
          search,
        );
      }
    },
  );

  it('goes on when almost everything that happens is trouble', () => {
    fc.assert(
      fc.property(happenings(3, { trouble: 12 }), (sequence) => expectWhole(3, 1, sequence)),
      search,
    );
  });
});
