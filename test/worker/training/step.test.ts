import { describe, expect, it } from 'vitest';
import { planStep } from '../../../plan/phases.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import type { Summary } from '../../../worker/model/program.js';
import type { LoadedBatch } from '../../../worker/training/batches.js';
import type { StepRing } from '../../../worker/training/reduce-parts.js';
import { type StepContext, type StepShare, takeStep } from '../../../worker/training/step.js';
import { createFakeCompute, type FakeCompute, fakeShape } from '../../support/fake-compute.js';
import { createFakeRings } from '../../support/fake-ring.js';
import { runConfig } from '../../support/run-config.js';
import { stepContext } from '../../support/step-context.js';

const config = runConfig();
const alone = createFakeRings(1)[0]!;

/** A network that has seen gradients of that size. */
function createFake(amax = 100): FakeCompute {
  const compute = createFakeCompute();
  compute.state[fakeShape.state.amax.offset] = amax;
  return compute;
}

/** One step on one rank, with `compute` and `ring` as a test bends them. */
function step(
  compute: FakeCompute,
  ring: StepRing,
  o: Partial<StepContext & StepShare & { count: number }> = {},
) {
  const released: string[] = [];
  const kept: (readonly number[])[] = [];
  const { microBatches = [0], computed = [], count = microBatches.length, ...bent } = o;
  const batches = microBatches.map((microBatch): LoadedBatch => {
    return {
      ids: Uint32Array.of(3, 4),
      pixels: new Uint8Array(0),
      labels: Int32Array.of(3, 4),
      transforms: new Float32Array(0),
      lighting: new Float32Array(0),
      release: () => released.push(`batch ${microBatch}`),
    };
  });
  const context = stepContext({
    ...{ config, compute, ring, vector: compute.vector, signal: new AbortController().signal },
    requests: () => ({ stop: true, keep: false, snapshot: false }),
    keep: (computedAnew) => kept.push(computedAnew),
    ...bent,
  });
  const plan = { ...planStep(config, 0), microBatches: Array(count).fill({ start: 0, end: 2 }) };
  return { released, kept, taking: takeStep(plan, batches, { microBatches, computed }, context) };
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
    expect(released).toEqual(['batch 0']);
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
    last.resolve({ largest: new Float32Array(1), microBatches: [0], rows: new Float32Array(4) });
    await expect(watched).rejects.toBe(error);
    expect(released).toEqual(['batch 0']);
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
    expect(released).toEqual(['batch 0']);
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
    const { taking, released } = step(compute, ring, { signal: aborting.signal });
    await expect(taking).rejects.toThrow('another generation');
    expect(released).toEqual(['batch 0']);
    expect(compute.calls).not.toContain('apply');
  });

  /** A step whose second part is not computed before `goOn`. */
  function cutOff(how: 'it is aborted' | 'the ring breaks', largestKnown?: number) {
    const compute = createFake(largestKnown);
    const [ending, abandoning] = [new AbortController(), new AbortController()];
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
    const signals = { signal: ending.signal, abandoned: abandoning.signal };
    const taken = step(inTurn, ring, { ...signals, microBatches: [2, 5] });
    taken.taking.catch(() => {});
    const cut = async () => {
      await first.promise;
      if (ring === alone) ending.abort(broken);
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { ...taken, compute, cut, abandon: () => abandoning.abort(broken), goOn };
  }
  const causes = ['it is aborted', 'the ring breaks'] as const;

  it.each(causes)('computes its part to the end, and says that it is kept, when %s', async (how) => {
    const { taking, released, kept, compute, cut, goOn } = cutOff(how);
    await cut();
    expect(released).toEqual([]);
    goOn.resolve();
    await expect(taking).rejects.toThrow('rank 1 is gone');
    expect(compute.calls).toEqual(['gradientPart 0', 'gradientPart 1']);
    expect(kept).toEqual([[], [2, 5]]);
    expect(released).toEqual(['batch 2', 'batch 5']);
  });

  it.each(causes)('gives up what has not begun when %s and nobody wants it any more', async (how) => {
    const { taking, released, kept, compute, cut, abandon, goOn } = cutOff(how);
    await cut();
    abandon();
    goOn.resolve();
    await expect(taking).rejects.toThrow('rank 1 is gone');
    expect(compute.calls).toEqual(['gradientPart 0']);
    expect(kept).toEqual([[]]);
    expect(released).toEqual(['batch 2', 'batch 5']);
  });

  it('computes only what has not been kept, and ends as if it had computed all', async () => {
    const undisturbed = createFake();
    const whole = step(undisturbed, alone, { microBatches: [0, 1, 2] });
    const { outcome: expected } = await whole.taking;
    const compute = createFake();
    const aborting = new AbortController();
    const breaking = { ...alone, allReduce: () => Promise.reject(new RondoError('unavailable', 'gone')) };
    await expect(step(compute, breaking, { microBatches: [0, 1], count: 3 }).taking).rejects.toThrow('gone');
    // What the ring leaves there counts for nothing.
    compute.vector.fill(-1);
    const again = step(compute, alone, {
      ...{ microBatches: [0, 1, 2], computed: [0, 1], signal: aborting.signal },
    });
    expect((await again.taking).outcome).toEqual(expected);
    expect(compute.state).toEqual(undisturbed.state);
    expect(compute.summed).toEqual([[0, 1], [2]]);
    expect(again.released).toEqual(['batch 0', 'batch 1', 'batch 2']);
  });

  it('computes all of them when they have to be summed once more', async () => {
    const undisturbed = createFake(1e-3);
    const { outcome: expected } = await step(undisturbed, alone, { microBatches: [0, 1] }).taking;
    const compute = createFake(1e-3);
    const breaking = { ...alone, allReduce: () => Promise.reject(new RondoError('unavailable', 'gone')) };
    await expect(step(compute, breaking, { microBatches: [0], count: 2 }).taking).rejects.toThrow('gone');
    const again = step(compute, alone, { microBatches: [0, 1], computed: [0] });
    expect((await again.taking).outcome).toEqual(expected);
    expect(compute.state).toEqual(undisturbed.state);
    expect(compute.summed).toEqual([[0], [1], [0, 1]]);
  });

  it('keeps nothing of a sum that was made once more', async () => {
    const compute = createFake(1e-3);
    let rounds = 0;
    const breaking: StepRing = {
      ...alone,
      async allReduce(vector, call) {
        rounds += 1;
        if (rounds > 2) throw new RondoError('unavailable', 'gone');
        await alone.allReduce(vector, call);
      },
    };
    const { taking, kept } = step(compute, breaking);
    await expect(taking).rejects.toThrow('gone');
    expect(compute.summed).toEqual([[0], [0]]);
    expect(kept).toEqual([[]]);
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
    expect(released).toEqual(['batch 0']);
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
    expect(released).toEqual(['batch 0']);
  });

  it('comes to the same without a ring, where sums are complete as they are computed', async () => {
    const [inRing, without] = [createFake(1e-3), createFake(1e-3)];
    const outcomes = [await step(inRing, alone).taking, await step(without, alone, { isAlone: true }).taking];
    expect(outcomes[1]!.outcome).toEqual(outcomes[0]!.outcome);
    expect(without.state).toEqual(inRing.state);
    expect(outcomes[1]!.cost).toMatchObject({ ring: 0 });
    const aborting = new AbortController();
    aborting.abort(new RondoError('aborted', 'another generation'));
    const { taking, released } = step(createFake(), alone, {
      isAlone: true,
      signal: aborting.signal,
    });
    await expect(taking).rejects.toThrow('another generation');
    expect(released).toEqual(['batch 0']);
  });
});
