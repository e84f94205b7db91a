import { describe, expect, it } from 'vitest';
import { planStep } from '../../../plan/phases.js';
import { digestState } from '../../../worker/training/state-digests.js';
import { fakeShape } from '../../support/fake-compute.js';
import { runConfig } from '../../support/run-config.js';
import { runWorld, stepsOf } from '../../support/task-world.js';

const task = { kind: 'lr-find', from: 1e-4, to: 1, steps: 20 } as const;
const config = runConfig({ task });
const before = Float32Array.from({ length: fakeShape.state.length }, (_, index) =>
  Math.fround(index / 7 + 0.1),
);

const digests = await digestState(before, fakeShape.state);

/** fastai's rule by itself: whether the smoothed losses of steps 0 … step exceed four times their lowest. */
function hasDiverged(losses: readonly number[]): boolean {
  let [average, best, smoothed] = [0, Number.POSITIVE_INFINITY, 0];
  for (const [index, loss] of losses.entries()) {
    average = 0.98 * average + 0.02 * loss;
    smoothed = average / (1 - 0.98 ** (index + 1));
    best = Math.min(best, smoothed);
  }
  return Number.isNaN(smoothed) || smoothed > 4 * best;
}

describe('a range test', () => {
  it.each([1, 2, 3, 4, 5])(
    'walks the same rates on %i ranks and puts every state back',
    async (worldSize) => {
      const world = await runWorld(config, worldSize, { state: before });
      for (const rank of world) {
        expect(stepsOf(rank).map(({ plan }) => plan.learningRates)).toEqual(
          Array.from({ length: 20 }, (_, step) => planStep(config, step).learningRates),
        );
        expect(rank.end).toEqual({ step: 20, stopped: false, restoredDigest: digests.state });
        expect(rank.state).toEqual(before);
        expect(rank.aliveBatches).toBe(0);
      }
      const [alone] = await runWorld(config, 1, { state: before });
      expect(stepsOf(world[0]!).map(({ outcome }) => outcome)).toEqual(
        stepsOf(alone!).map(({ outcome }) => outcome),
      );
    },
  );

  it('has changed weights and moments in between', async () => {
    const { calls, events } = (await runWorld(config, 1, { state: before }))[0]!;
    // The first step is summed twice: nothing was known of its gradients.
    expect(calls.filter((name) => name === 'apply')).toHaveLength(21);
    expect(calls.filter((name) => name === 'resetMoments')).toHaveLength(1);
    expect(events.filter(({ kind }) => kind !== 'step')).toEqual([]);
  });

  it('ends on every rank with the step at which the smoothed loss exceeds four times its lowest', async () => {
    const curves: ((step: number) => number)[] = [
      (step) => 1 + Math.exp((step - 10) / 1.5),
      (step) => (step < 7 ? 2 - step / 10 : 500),
      (step) => (step === 9 ? Number.NaN : 1),
      (step) => (step === 4 ? Number.POSITIVE_INFINITY : 1),
      (step) => 3 ** step,
      () => 1,
    ];
    for (const lossAt of curves) {
      const losses = Array.from({ length: 20 }, (_, step) => Math.fround(lossAt(step)));
      const ends = losses.findIndex((_, step) => hasDiverged(losses.slice(0, step + 1)));
      const expected = ends < 0 ? 20 : ends + 1;
      for (const worldSize of [1, 3]) {
        const world = await runWorld(config, worldSize, { state: before, lossAt });
        for (const rank of world) {
          expect(stepsOf(rank)).toHaveLength(expected);
          expect(rank.end).toEqual({ step: expected, stopped: false, restoredDigest: digests.state });
          expect(rank.state).toEqual(before);
          expect(rank.aliveBatches).toBe(0);
        }
      }
    }
  });

  it('ends with a step whose gradient is not finite', async () => {
    const poison = planStep(config, 1).sampleIds[0]!;
    for (const rank of await runWorld(config, 2, { state: before, poison })) {
      expect(stepsOf(rank)).toHaveLength(2);
      expect(rank.state).toEqual(before);
    }
  });

  it('stops on request with the state as it was', async () => {
    for (const rank of await runWorld(config, 3, { state: before, stopAt: 4 })) {
      expect(rank.end).toMatchObject({ step: 5, stopped: true });
      expect(rank.state).toEqual(before);
    }
  });
});

describe('an evaluation', () => {
  it.each([1, 2, 3, 4, 5])(
    'takes no step and leaves no image out or twice on %i ranks',
    async (worldSize) => {
      for (const validCount of [1, 31, 32, 33, 64, 70, 129, 200]) {
        const once = runConfig({ task: { kind: 'evaluate' }, validCount });
        const world = await runWorld(once, worldSize, { startStep: 6, state: before });
        const shares = world.map(({ events, end, state, evaluated }) => {
          expect(end).toEqual({ step: 6, stopped: false, restoredDigest: null });
          expect(state).toEqual(before);
          expect(events).toHaveLength(1);
          const [event] = events;
          if (event?.kind !== 'evaluation') throw new Error('no evaluation');
          expect(event.step).toBe(6);
          expect(evaluated[0]).toBe(0);
          expect(evaluated.at(-1)).toBe(event.share.sampleIds.length);
          expect(evaluated).toEqual(evaluated.toSorted((a, b) => a - b));
          return event.share;
        });
        const ids = shares.flatMap((share) => [...share.sampleIds]);
        expect(ids).toEqual(Array.from({ length: validCount }, (_, id) => id));
        expect(shares.flatMap((share) => [...share.losses])).toEqual(ids.map((id) => id / 2));
        expect(shares.flatMap((share) => [...share.predictions])).toEqual(ids);
      }
    },
  );
});
