import { rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readCommittedSteps, readParameters } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

const runs = openQuickRuns();
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(125); // 300 training images: 15 steps an epoch
});
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

// Batches of 20 are five micro-batches: neither 2, 3 nor 4 divides them. Augmentation and dropout are on.
it('trains the same 30 steps on 1, 2, 3 and 4 workers', { timeout: 300_000 }, async () => {
  const worlds = [1, 2, 3, 4];
  for (const world of worlds) {
    const inputs = runs.start(
      `world-${world}`,
      data,
      '--workers',
      String(world),
      '--epochs',
      '2',
      '--lr',
      '1e-4',
    );
    const { code, stderr } = await runCoordinator(inputs);
    expect(code, stderr).toBe(0);
  }
  const [alone, ...others] = worlds.map((world) => runs.run(`world-${world}`));
  const expectedSteps = readCommittedSteps(alone);
  const expected = readParameters(path.join(alone, 'checkpoints', 'epoch-0001'));
  expect(expectedSteps).toHaveLength(30);

  for (const run of others) {
    const steps = readCommittedSteps(run);
    expect(steps.map(({ shares }) => shares.flat())).toEqual(
      expectedSteps.map(({ shares }) => shares.flat()),
    );
    for (const [index, { loss }] of steps.entries()) {
      const wanted = expectedSteps[index].loss!;
      expect(Math.abs(loss! - wanted) / wanted, `loss of step ${index} in ${run}`).toBeLessThan(1e-4);
    }
    const parameters = readParameters(path.join(run, 'checkpoints', 'epoch-0001'));
    expect([...parameters.keys()]).toEqual([...expected.keys()]);
    for (const [name, wanted] of expected) {
      const got = parameters.get(name)!;
      const difference = wanted.map((value, index) => value - got[index]);
      expect(norm(difference) / norm(wanted), `${name} in ${run}`).toBeLessThan(1e-3);
    }
  }
});

function norm(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
}
