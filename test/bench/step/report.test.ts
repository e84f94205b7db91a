import { describe, expect, it } from 'vitest';
import type { Figure } from '../../../bench/step/contestant.js';
import { formatReport, summarize } from '../../../bench/step/report.js';

const figures = (speeds: number[], cpuSecondsPerImage: number): Figure[] =>
  speeds.map((imagesPerSecond) => ({ imagesPerSecond, cpuSecondsPerImage }));

const own = [
  { name: 'rondo', trainable: 'all' as const, figures: figures([10, 20, 40], 0.2) },
  { name: 'rondo', trainable: 'frozen' as const, figures: figures([20, 40, 80], 0.1) },
];
const peer = { name: 'torch', trainable: 'all' as const, figures: figures([8, 16, 32], 0.25) };
const configuration = { size: 96, workers: { processes: 4, threads: 1 } };

describe('summarize', () => {
  it('takes ratios turn by turn, so that a machine whose speed changes leaves them alone', () => {
    const result = summarize(configuration, [...own, peer]);
    expect(result.peerRatio?.speed).toEqual({ p10: 1.25, median: 1.25, p90: 1.25 });
    expect(result.peerRatio?.cpu.median).toBeCloseTo(1.25, 12);
    expect(result.frozenRatio.time).toEqual({ p10: 0.5, median: 0.5, p90: 0.5 });
    expect(result.frozenRatio.cpu.median).toBe(0.5);
    expect(result.lanes[0].imagesPerSecond.median).toBe(20);
  });

  it('has no ratio to a peer that was not there', () => {
    expect(summarize(configuration, own).peerRatio).toBeNull();
  });
});

describe('formatReport', () => {
  it('shows every lane and every ratio', () => {
    const text = formatReport({
      bench: 'step',
      arch: 'resnet34',
      batch: 16,
      classes: 37,
      input: 'pixels',
      steps: 2,
      repeats: 3,
      environment: { commit: 'c', processor: 'p', cores: 2, memoryBytes: 0, system: 's', node: 'v' },
      peers: { torch: '2.0' },
      results: [summarize(configuration, [...own, peer])],
    });
    expect(text).toMatch(/96 px, 4 × 1 threads/);
    expect(text).toMatch(/^rondo, frozen +40\.0 +24\.0 +72\.0 +100\.0$/m);
    expect(text).toMatch(/^images\/s, rondo to torch +1\.25 +1\.25 +1\.25$/m);
  });
});
