import { describe, expect, it } from 'vitest';
import { planStep } from '../../../plan/phases.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import type { LoadedBatch } from '../../../worker/training/batches.js';
import type { Compute } from '../../../worker/training/compute.js';
import type { AllReduce } from '../../../worker/training/reduce-parts.js';
import { takeStep } from '../../../worker/training/step.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';
import { createFakeRings } from '../../support/fake-ring.js';
import { runConfig } from '../../support/run-config.js';

const layout = fakeShape.reductions.all!;
const config = runConfig();
const alone = createFakeRings(1)[0]!;

/** One step on one rank, with `compute` and `ring` as a test bends them. */
function step(compute: Compute, ring: AllReduce, signal = new AbortController().signal) {
  const released: string[] = [];
  const batch: LoadedBatch = {
    ids: Uint32Array.of(3, 4),
    pixels: new Uint8Array(0),
    labels: Int32Array.of(3, 4),
    transforms: new Float32Array(0),
    lighting: new Float32Array(0),
    release: () => released.push('batch'),
  };
  const vector = new Float32Array(layout.length);
  const context = { config, compute, ring, layout, vector, stopRequested: () => true, signal };
  return { released, taking: takeStep(planStep(config, 0), [batch], 0, context) };
}

describe('takeStep', () => {
  it('adds up where its time went', async () => {
    const { taking, released } = step(createFakeCompute(), alone);
    const { cost, outcome } = await taking;
    expect(outcome).toMatchObject({ samples: 2, loss: 3.5, stop: true, skipped: false });
    expect(cost.gradients + cost.ringExposed + cost.apply).toBeGreaterThan(0);
    expect(cost.ring).toBeGreaterThanOrEqual(0);
    expect(released).toEqual(['batch']);
  });

  it('asks for all parts before the first is known', async () => {
    const compute = createFakeCompute();
    const first = createDeferred<void>();
    const slow: Compute = {
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
    const compute = createFakeCompute();
    const last = createDeferred<void>();
    const slow: Compute = {
      ...compute,
      gradientPart: (part, ...inputs) => (part === 0 ? compute.gradientPart(part, ...inputs) : last.promise),
    };
    const error = new RondoError('unavailable', 'rank 1 is gone');
    const { taking, released } = step(slow, { allReduce: () => Promise.reject(error) });
    let ended = false;
    const watched = taking.finally(() => {
      ended = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([ended, released]).toEqual([false, []]);
    last.resolve();
    await expect(watched).rejects.toBe(error);
    expect(released).toEqual(['batch']);
    expect(compute.calls).toEqual(['gradientPart 0']);
  });

  it('updates nothing when a part cannot be computed', async () => {
    const compute = createFakeCompute();
    const error = new RondoError('internal', 'no memory');
    const failing: Compute = {
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
    const compute = createFakeCompute();
    const aborting = new AbortController();
    const ring: AllReduce = {
      async allReduce() {
        aborting.abort(new RondoError('aborted', 'another generation'));
      },
    };
    const { taking, released } = step(compute, ring, aborting.signal);
    await expect(taking).rejects.toThrow('another generation');
    expect(released).toEqual(['batch']);
    expect(compute.calls).not.toContain('apply');
  });
});
