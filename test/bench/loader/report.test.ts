import { describe, expect, it } from 'vitest';
import { formatReport, type LoaderReport } from '../../../bench/loader/report.js';

const report: LoaderReport = {
  ...{
    bench: 'loader',
    images: 8,
    presize: 256,
    microBatch: 4,
    workers: { processes: 2, threads: 1 },
    rounds: 2,
    versions: {},
  },
  environment: { commit: 'c', processor: 'p', cores: 2, memoryBytes: 0, system: 's', node: 'v' },
  speeds: [
    [
      { 'first epoch': 100, later: 1000 },
      { 'first epoch': 200, later: 3000 },
    ],
    [{ PIL: 200 }, { PIL: 400 }],
  ],
};

describe('formatReport', () => {
  it('compares what was measured with the peer’s figure of the same round', () => {
    const text = formatReport(report);
    expect(text).toMatch(/^first epoch +150 +110 +190 +0\.50$/m);
    expect(text).toMatch(/^later +2000 +1200 +2800 +6\.25$/m);
    expect(text).toMatch(/^PIL +300 +220 +380 +1\.00$/m);
  });

  it('has no ratio without a peer', () => {
    expect(formatReport({ ...report, speeds: report.speeds.slice(0, 1) })).toMatch(/^later .* -$/m);
  });
});
