import { describe, expect, it } from 'vitest';
import { planStep } from '../../../plan/phases.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import type { Summary } from '../../../worker/model/program.js';
import type { LoadedBatch } from '../../../worker/training/batches.js';
import type { StepRing } from '../../../worker/training/reduce-parts.js';
import { takeStep } from '../../../worker/training/step.js';
import { createFakeCompute, type FakeCompute, fakeShape } from '../../support/fake-compute.js';
import { createFakeRings } from '../../support/fake-ring.js';
import { runConfig } from '../../support/run-config.js';

const layout = fakeShape.reductions.all!;
const config = runConfig();
const alone = createFakeRings(1)[0]!;

/** A network that has seen gradients of that size. */
function createFake(amax = 100): FakeCompute {
  const compute = createFakeCompute();
  compute.state[fakeShape.state.amax.offset] = amax;
  return compute;
}

/** One step on one rank, with `compute` and `ring` as a test bends them. */
function step(compute: FakeCompute, ring: StepRing | null, signal = new AbortController().signal) {
  const released: string[] = [];
  const batch: LoadedBatch = {
    ids: Uint32Array.of(3, 4),
    pixels: new Uint8Array(0),
    labels: Int32Array.of(3, 4),
    transforms: new Float32Array(0),
    lighting: new Float32Array(0),
    release: () => released.push('batch'),
  };
  const { vector } = compute;
  const context = {
    config,
    compute,
    ring,
    layout,
    vector,
    requests: () => ({ stop: true, keep: false, snapshot: false }),
    signal,
  };
  return { released, taking: takeStep(planStep(config, 0), [batch], 0, context) };
}

describe('takeStep', () => {
  it('adds up where its time went', async () => {
    const compute = createFake();
    const { taking, released } = step(compute, alone);
    const { cost, outcome } = await taking;
    expect(compute.calls).toEqual(['gradientPart 0', 'gradientPart 1', 'apply']);
    expect(outcome).toMatchObject({ samples: 2, loss: 3.5, stop: true, skipped: false });
    expect(cost.gradients + cost.ringExposed + cost.apply).toBeGreaterThan(0);
    expect(cost.ring).toBeGreaterThanOrEqual(0);
    expect(released).toEqual(['batch']);
  });

  it('asks for all parts before the first is known', async () => {
    const compute = createFake();
    const first = createDeferred<void>();
    const slow: FakeCompute = {
      ...compute,
      async gradientPart(part, ...inputs) {
        if (part === 0) await first.promise;
        return compute.gradientPart(part, ...inputs);
      },
    };
    const { taking } = step(slow, alone);
    expect(compute.calls).toEqual(['gradientPart 1']);
    first.resolve();
    await taking;
    expect(compute.calls).toEqual(['gradientPart 1', 'gradientPart 0', 'apply']);
  });

  it('ends with the ring’s error when nothing is computed any more, and gives the batches back', async () => {
    const compute = createFake();
    const last = createDeferred<Summary | null>();
    const slow: FakeCompute = {
      ...compute,
      gradientPart: (part, ...inputs) => (part === 0 ? compute.gradientPart(part, ...inputs) : last.promise),
    };
    const error = new RondoError('unavailable', 'rank 1 is gone');
    const { taking, released } = step(slow, { ...alone, allReduce: () => Promise.reject(error) });
    let ended = false;
    const watched = taking.finally(() => {
      ended = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([ended, released]).toEqual([false, []]);
    last.resolve(null);
    await expect(watched).rejects.toBe(error);
    expect(released).toEqual(['batch']);
    expect(compute.calls).toEqual(['gradientPart 0']);
  });

  it('updates nothing when a part cannot be computed', async () => {
    const compute = createFake();
    const error = new RondoError('internal', 'no memory');
    const failing: FakeCompute = {
      ...compute,
      gradientPart: async (part, ...inputs) => {
        if (part === 1) throw error;
        return compute.gradientPart(part, ...inputs);
      },
    };
    const { taking, released } = step(failing, alone);
    await expect(taking).rejects.toBe(error);
    expect(released).toEqual(['batch']);
    expect(compute.calls).toEqual(['gradientPart 0']);
  });

  it('updates nothing when it is aborted before the last part is summed', async () => {
    const compute = createFake();
    const aborting = new AbortController();
    const ring: StepRing = {
      ...alone,
      async allReduce() {
        aborting.abort(new RondoError('aborted', 'another generation'));
      },
    };
    const { taking, released } = step(compute, ring, aborting.signal);
    await expect(taking).rejects.toThrow('another generation');
    expect(released).toEqual(['batch']);
    expect(compute.calls).not.toContain('apply');
  });

  it.each(['it is aborted', 'the ring breaks'])('gives up what has not begun when %s', async (how) => {
    const compute = createFake();
    const aborting = new AbortController();
    const broken = new RondoError('unavailable', 'rank 1 is gone');
    const [first, goOn] = [createDeferred<void>(), createDeferred<void>()];
    const inTurn: FakeCompute = {
      ...compute,
      async gradientPart(part, ...inputs) {
        if (part === 1) await goOn.promise;
        const summary = await compute.gradientPart(part, ...inputs);
        if (part === 0) first.resolve();
        return summary;
      },
    };
    const ring = how === 'the ring breaks' ? { ...alone, allReduce: () => Promise.reject(broken) } : alone;
    const { taking, released } = step(inTurn, ring, aborting.signal);
    await first.promise;
    if (ring === alone) aborting.abort(broken);
    await new Promise((resolve) => setImmediate(resolve));
    goOn.resolve();
    await expect(taking).rejects.toThrow();
    expect(compute.calls).toEqual(['gradientPart 0']);
    expect(released).toEqual(['batch']);
  });

  const once = ['gradientPart 0', 'gradientPart 1', 'apply'];

  it.each([
    ['nothing is known of their size', 0],
    ['they have grown by more than the grid has room for', 1e-3],
  ])('sums once more, on the gradients’ own grid, where %s', async (_, amax) => {
    const compute = createFake(amax);
    const { taking, released } = step(compute, alone);
    const { outcome } = await taking;
    expect(compute.calls).toEqual([...once, ...once]);
    expect(outcome).toMatchObject({ samples: 2, loss: 3.5, stop: true, skipped: false });
    expect(released).toEqual(['batch']);
    const usual = createFake();
    await step(usual, alone).taking;
    expect(compute.state[fakeShape.state.updates.offset]).toBe(1);
    expect(compute.state[fakeShape.state.amax.offset]).toBe(usual.state[fakeShape.state.amax.offset]);
    for (const [index, value] of usual.state.entries()) expect(compute.state[index]).toBeCloseTo(value, 6);
  });

  it('gives up when gradients overflow a grid that was made for them', async () => {
    const compute = createFake();
    const growing: FakeCompute = {
      ...compute,
      async apply() {
        return { outcome: 'overflow', largest: Float32Array.of(1) };
      },
    };
    const { taking, released } = step(growing, alone);
    await expect(taking).rejects.toMatchObject({
      code: 'internal',
      message: 'the gradients of step 0 differ from one time to the next',
    });
    expect(released).toEqual(['batch']);
  });

  it('comes to the same without a ring, where sums are complete as they are computed', async () => {
    const [inRing, without] = [createFake(1e-3), createFake(1e-3)];
    const outcomes = [await step(inRing, alone).taking, await step(without, null).taking];
    expect(outcomes[1]!.outcome).toEqual(outcomes[0]!.outcome);
    expect(without.state).toEqual(inRing.state);
    expect(outcomes[1]!.cost).toMatchObject({ ring: 0 });
    const aborting = new AbortController();
    aborting.abort(new RondoError('aborted', 'another generation'));
    const { taking, released } = step(createFake(), null, aborting.signal);
    await expect(taking).rejects.toThrow('another generation');
    expect(released).toEqual(['batch']);
  });
});
