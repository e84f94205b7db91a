import { expect, it } from 'vitest';
import { runCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const timeoutMs = 600_000;
const runs = await openTinyRuns(50);
const { data } = runs;

async function train(name: string, ...choice: string[]) {
  const recipe = ['--workers', '2', '--epochs', '4', '--micro-batch', '10'];
  const { code, stderr } = await runCoordinator(runs.start(name, data, ...recipe, ...choice));
  expect(code, stderr).toBe(0);
  return readSummaryFile(runs.run(name));
}

it(
  'a network trained in bfloat16, or with gradients that travel as bfloat16, comes to the error rate of one in float32',
  async () => {
    const exact = await train('float32');
    const layers = await train('layers', '--precision', 'bfloat16');
    const wire = await train('wire', '--wire', 'bfloat16');
    const last = [exact, layers, wire].map(({ epochs }) => epochs.at(-1)!);
    expect(last.map(({ error_rate }) => error_rate)).toEqual([0, 0, 0]);
    // The same only on the surface: each took its own way.
    expect(new Set([exact, layers, wire].map(({ parameterDigest }) => parameterDigest)).size).toBe(3);
  },
  timeoutMs,
);
