import { describe, expect, it } from 'vitest';
import { openBenches, positive } from '../support/bench-report.js';

const reportOf = openBenches();

describe('npm run bench, with whole runs', () => {
  it('measures whole runs, and where the time of their steps goes', async () => {
    const { results } = await reportOf(
      'scaling',
      '--workers 2 --arch resnet18 --size 32 --batch 16 --images 96 --repeats 1',
    );
    const [result] = results as {
      imagesPerSecond: unknown;
      shares: Record<string, { median: number }>;
      peer: null;
    }[];
    expect(result).toMatchObject({
      workers: 2,
      imagesPerSecond: { firstEpoch: positive, laterEpoch: positive },
    });
    const { ringHidden: _, ...shares } = result!.shares;
    const total = Object.values(shares).reduce((sum, { median }) => sum + median, 0);
    expect(total).toBeCloseTo(1, 9);
  });

  it('measures starts', async () => {
    const { arrivals } = await reportOf('start-up', '--workers 1 --repeats 1');
    const { prepared, waiting, assigned, step } = arrivals as Record<string, { median: number }>;
    const inOrder = [prepared, waiting, assigned, step].map((each) => each!.median);
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b));
  });
});
