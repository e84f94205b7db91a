import { describe, expect, it } from 'vitest';
import { exposedRatios, summarize } from '../../../bench/overlap/report.js';
import { mergeRanks, type StepTimes } from '../../../bench/overlap/task.js';

const times = (gradients: number, ringExposed: number): StepTimes => ({
  gradients,
  ring: ringExposed + 0.1,
  ringExposed,
  step: gradients + ringExposed,
});

describe('mergeRanks', () => {
  it('counts as the ring’s what the slowest rank waits for it', () => {
    const merged = mergeRanks([times(2, 1.5), times(3, 0.5), times(2.5, 1)]);
    expect(merged).toEqual({ gradients: 3, ring: 0.6, ringExposed: 0.5, step: 3.5 });
  });
});

describe('a report', () => {
  const measured = (exposed: readonly number[]) => ({
    times: exposed.map((seconds) => times(1, seconds)),
    cpuSeconds: 2,
  });
  const results = [
    summarize({ by: 'rondo', wire: 'float32', overlapped: false }, [measured([4, 5]), measured([6])]),
    summarize({ by: 'rondo', wire: 'float32', overlapped: true }, [measured([1]), measured([2, 3])]),
    summarize({ by: 'rondo', wire: 'bfloat16', overlapped: true }, [measured([1])]),
    summarize({ by: 'ddp', wire: 'float32', overlapped: true }, [measured([8])]),
  ];

  it('takes quantiles over the steps of all measurements', () => {
    expect(results[0]).toMatchObject({ ringExposed: { median: 5 }, step: { median: 6 }, cpuSeconds: 2 });
  });

  it('compares the exposed time of a wire with itself', () => {
    expect(exposedRatios(results)).toEqual({ float32: 2 / 5 });
  });
});
