import { describe, expect, it } from 'vitest';
import { faultKinds, pick, planFaults } from '../../../coordinator/chaos/faults.js';

const plan = { seed: 3, count: 24, kinds: faultKinds, steps: 200 };

describe('the faults of a trial', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(planFaults(plan)).toEqual(planFaults(plan));
    expect(planFaults(plan)).not.toEqual(planFaults({ ...plan, seed: 4 }));
  });

  it('come one after the other, over the whole run, each kind equally often', () => {
    const faults = planFaults(plan);
    const steps = faults.map(({ afterStep }) => afterStep);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(steps[0]).toBeGreaterThanOrEqual(1);
    expect(steps.at(-1)).toBeGreaterThan(180);
    expect(steps.at(-1)).toBeLessThan(199);
    for (const kind of faultKinds) expect(faults.filter((fault) => fault.kind === kind)).toHaveLength(4);
  });

  it('stop a worker for 3 to 30 s', () => {
    const lasting = planFaults({ ...plan, count: 150, kinds: ['stop'] }).map(({ seconds }) => seconds);
    expect(Math.min(...lasting)).toBeGreaterThanOrEqual(3);
    expect(Math.max(...lasting)).toBeLessThan(30);
    expect(lasting.filter((seconds) => seconds < 9.5).length / 150).toBeCloseTo(0.5, 1);
  });

  it('fit into a run of a few steps', () => {
    const steps = planFaults({ ...plan, count: 5, steps: 3 }).map(({ afterStep }) => afterStep);
    expect(steps).toHaveLength(5);
    for (const step of steps) expect([1, 2]).toContain(step);
  });

  it('pick one of those who are there', () => {
    expect([0, 0.49, 0.5, 0.99].map((choice) => pick(['a', 'b'], choice))).toEqual(['a', 'a', 'b', 'b']);
    expect(pick([], 0.5)).toBeUndefined();
  });
});
