import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { oneCycleMomentum, oneCycleRate } from '../../plan/one-cycle.js';

interface Trace {
  trace: { momentum: number; lr: number[] }[];
}

/** fastai v1's own way: two queues of values, one taken after each batch. */
function fastaiValues(steps: number, start: number, turn: number, end: number): number[] {
  const first = Math.floor(0.3 * steps);
  const arc = (from: number, to: number, share: number) =>
    from * Math.cos((Math.PI * share) / 2) ** 2 + to * Math.sin((Math.PI * share) / 2) ** 2;
  return Array.from({ length: steps }, (_, n) =>
    n < first ? arc(start, turn, n / first) : arc(turn, end, (n - first) / (steps - first)),
  );
}

test('rates and momenta follow fastai over many lengths', () => {
  for (const steps of [1, 2, 4, 10, 37, 92, 368, 1000]) {
    const warmupSteps = Math.floor(0.3 * steps);
    const rates = fastaiValues(steps, 3e-3 / 25, 3e-3, 3e-3 / 250_000);
    const momenta = fastaiValues(steps, 0.95, 0.85, 0.95);
    for (let step = 0; step < steps; step += 1) {
      expect(Math.abs(oneCycleRate(step, { steps, warmupSteps, peak: 3e-3 }) - rates[step]!)).toBeLessThan(
        1e-15,
      );
      expect(Math.abs(oneCycleMomentum(step, { steps, warmupSteps }) - momenta[step]!)).toBeLessThan(1e-14);
    }
  }
});

test('batch 0 trains at lr/25 and .95, batch a1 at lr and .85, and the end is near lr/250000 and .95', () => {
  const cycle = { steps: 368, warmupSteps: 110 };
  const peak = 0.003;
  expect(oneCycleRate(0, { ...cycle, peak })).toBeCloseTo(peak / 25, 15);
  expect(oneCycleRate(110, { ...cycle, peak })).toBe(peak);
  expect(oneCycleRate(368, { ...cycle, peak })).toBeCloseTo(peak / 250_000, 15);
  expect(oneCycleMomentum(0, cycle)).toBeCloseTo(0.95, 15);
  expect(oneCycleMomentum(110, cycle)).toBeCloseTo(0.85, 15);
  expect(oneCycleMomentum(368, cycle)).toBeCloseTo(0.95, 15);
});

test.each(['resnet18', 'resnet34'])(
  'agrees with the trace of %s, whose peak lies between two steps',
  (name) => {
    const file = new URL(`../support/parity/${name}.json`, import.meta.url);
    const { trace } = JSON.parse(readFileSync(file, 'utf8')) as Trace;
    const cycle = { steps: trace.length, warmupSteps: 0.3 * trace.length };
    for (const [step, { momentum, lr }] of trace.entries()) {
      expect(Math.abs(oneCycleMomentum(step, cycle) - momentum)).toBeLessThan(1e-9);
      for (const [group, peak] of [1e-6, 1e-5, 1e-4].entries()) {
        const relative = oneCycleRate(step, { ...cycle, peak }) / lr[group]! - 1;
        expect(Math.abs(relative)).toBeLessThan(1e-9);
      }
    }
  },
);
