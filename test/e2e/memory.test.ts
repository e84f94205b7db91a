import { rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readMetrics } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const runs = openQuickRuns();
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(84); // 201 training images: 50 steps of 4 an epoch
});
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it('keeps resident memory and TensorFlow handles flat over 500 steps', { timeout: 600_000 }, async () => {
  const inputs = runs.start(
    'long',
    data,
    '--workers',
    '2',
    '--epochs',
    '10',
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
    expect(own.length).toBeGreaterThanOrEqual(500);
    expect(new Set(own.map((step) => step.tensorHandles)).size).toBe(1);
    const mean = (from: number, to: number) =>
      own.slice(from, to).reduce((sum, step) => sum + (step.residentBytes as number), 0) / (to - from);
    // The first two epochs fill buffers and caches; from then on nothing may be kept for longer than it is
    // used.
    const [early, late] = [mean(150, 200), mean(450, 500)];
    expect(late / early, `from ${early} to ${late} bytes`).toBeLessThan(1.05);
  }
});
