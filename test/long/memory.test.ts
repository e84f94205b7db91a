import { expect, it } from 'vitest';
import { runCoordinator } from '../support/coordinator-process.js';
import { readMetrics } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(33); // 79 training images: 20 steps of 4 an epoch, the last one of 3
const { data } = runs;

it('keeps resident memory and TensorFlow handles flat over 160 steps', async () => {
  const inputs = runs.start(
    'long',
    data,
    '--workers',
    '2',
    '--epochs',
    '8',
    '--batch-size',
    '4',
    '--micro-batch',
    '2',
  );
  const { code, stderr } = await runCoordinator(inputs);
  expect(code, stderr).toBe(0);
  const steps = readMetrics(runs.run('long'), 'worker-step');
  for (const rank of [0, 1]) {
    const own = steps.filter((step) => step.rank === rank);
    expect(own.length).toBeGreaterThanOrEqual(160);
    expect(new Set(own.map((step) => step.tensorHandles)).size).toBe(1);
    // The first three epochs fill buffers and caches. After them a leak of a step, or of an epoch, makes every
    // epoch's mean greater than the one before. malloc's arenas do not: each TensorFlow thread has one, and it
    // takes memory once, in whichever epoch the thread is first given a large tensor.
    const means = Array.from({ length: 5 }, (_, epoch) =>
      mean(own.slice((epoch + 3) * 20, (epoch + 4) * 20).map((step) => step.residentBytes as number)),
    );
    const growths = means.slice(1).map((value, epoch) => value / means[epoch]! - 1);
    expect(Math.min(...growths), `growth per epoch: ${growths}`).toBeLessThan(0.002);
    expect(means.at(-1)! / means[0]!, `bytes: ${means}`).toBeLessThan(1.3);
  }
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
