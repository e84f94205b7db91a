import { describe, expect, it } from 'vitest';
import { formatReport, type LoaderReport, summarize } from '../../../bench/loader/report.js';

const rondo = [
  { 'first epoch': 100, later: 1000 },
  { 'first epoch': 200, later: 3000 },
];
const peer = [{ PIL: 200 }, { PIL: 400 }];

describe('summarize', () => {
  it('compares what was measured with the peer’s figure of the same round', () => {
    const [first, later, pil] = summarize([rondo, peer]);
    expect(first).toEqual({
      name: 'first epoch',
      imagesPerSecond: { p10: 110, median: 150, p90: 190 },
      ratio: { p10: 0.5, median: 0.5, p90: 0.5 },
    });
    expect(later!.ratio!.median).toBe(6.25);
    expect(pil!.ratio!.median).toBe(1);
  });

  it('has no ratio without a peer', () => {
    expect(summarize([rondo]).map(({ ratio }) => ratio)).toEqual([null, null]);
  });
});

describe('formatReport', () => {
  const report: Omit<LoaderReport, 'results'> = {
    ...{ bench: 'loader', images: 8, presize: 256, microBatch: 4, rounds: 2, versions: {} },
    workers: { processes: 2, threads: 1 },
    environment: { commit: 'c', processor: 'p', cores: 2, memoryBytes: 0, system: 's', node: 'v' },
  };

  it('has a row for each', () => {
    const text = formatReport({ ...report, results: summarize([rondo, peer]) });
    expect(text).toMatch(/^first epoch +150 +110 +190 +0\.50$/m);
    expect(text).toMatch(/^PIL +300 +220 +380 +1\.00$/m);
    expect(formatReport({ ...report, results: summarize([rondo]) })).toMatch(/^later .* -$/m);
  });
});
