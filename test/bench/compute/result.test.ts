import { describe, expect, it } from 'vitest';
import type { Figure } from '../../../bench/compute/implementation.js';
import { formatResult, summarize } from '../../../bench/compute/result.js';

const figures = (speeds: number[], cpuSecondsPerImage: number): Figure[] =>
  speeds.map((imagesPerSecond) => ({ imagesPerSecond, cpuSecondsPerImage }));

const result = summarize({ size: 96, workers: { processes: 4, threads: 1 } }, [
  { name: 'rondo', work: 'all', figures: figures([10, 20, 40], 0.2) },
  { name: 'torch', work: 'all', figures: figures([8, 16, 32], 0.25) },
  { name: 'rondo', work: 'frozen', figures: figures([20, 40, 80], 0.1) },
]);

describe('summarize', () => {
  it('takes ratios to the first row turn by turn, so that a machine whose speed changes leaves them alone', () => {
    const [own, peer, frozen] = result.implementations;
    expect(own).toMatchObject({ imagesPerSecond: { median: 20 }, ratio: null });
    expect(peer!.ratio!.speed).toEqual({ p10: 1.25, median: 1.25, p90: 1.25 });
    expect(peer!.ratio!.cpu.median).toBeCloseTo(1.25, 12);
    expect(frozen!.ratio!.speed).toEqual({ p10: 0.5, median: 0.5, p90: 0.5 });
    expect(frozen!.ratio!.cpu.median).toBe(0.5);
  });
});

describe('formatResult', () => {
  it('shows every row with its ratios', () => {
    const text = formatResult(result);
    expect(text).toMatch(/^96 px, 4 × 1 threads +images\/s/);
    expect(text).toMatch(/^rondo +20\.0 +12\.0 +36\.0 +200\.0 *$/m);
    expect(text).toMatch(/^torch +16\.0 +9\.6 +28\.8 +250\.0 +1\.25 +1\.25 +1\.25 +1\.25$/m);
    expect(text).toMatch(/^rondo, frozen +40\.0 +24\.0 +72\.0 +100\.0 +0\.50 +0\.50 +0\.50 +0\.50$/m);
  });
});
