import { describe, expect, it } from 'vitest';
import { openBenches, positive } from '../support/bench-report.js';

const reportOf = openBenches();
const network = '--arch resnet18 --sizes 32 --batch 4 --workers 1x1 --steps 1 --repeats 1';

describe('npm run bench, of training, prediction and reading', () => {
  it('measures training steps, frozen ones beside them', async () => {
    const { results } = await reportOf('step', network);
    const [rondo, frozen] = (results as { implementations: unknown[] }[])[0]!.implementations;
    expect(rondo).toMatchObject({ name: 'rondo', work: 'all', ratio: null });
    expect(frozen).toMatchObject({
      name: 'rondo',
      work: 'frozen',
      ratio: { speed: positive, cpu: positive },
    });
  });

  it('measures predictions', async () => {
    const { results } = await reportOf('predict', network);
    expect(results).toMatchObject([
      { size: 32, implementations: [{ work: 'predict', imagesPerSecond: positive }] },
    ]);
  });

  it('measures the loader', async () => {
    const { results } = await reportOf('loader', '--images 8 --presize 64 --micro-batch 2 --rounds 1');
    const passes = results as { imagesPerSecond: unknown }[];
    expect(passes).toHaveLength(3);
    for (const { imagesPerSecond } of passes) expect(imagesPerSecond).toMatchObject(positive);
  });

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
