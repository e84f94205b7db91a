import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readSummaryFile } from '../support/run-files.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

interface Prediction {
  readonly path: string;
  readonly actual: string;
  readonly predicted: string;
  readonly loss: number;
  readonly probability: number;
}

const runs = openQuickRuns();
let data: string;

beforeAll(async () => {
  data = await drawTinyFolder(50);
});
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it('evaluates each validation image once on 1 and on 3 workers, as training did', {
  timeout: 300_000,
}, async () => {
  // 105 images to validate on are four batches of evaluation, which 3 workers share as 2 + 1 + 1.
  const trained = await runCoordinator(
    runs.start('whole', data, '--workers', '1', '--epochs', '1', '--valid-pct', '0.7', '--threads', '1'),
  );
  expect(trained.code, trained.stderr).toBe(0);
  const [epoch] = readSummaryFile(runs.run('whole')).epochs;

  const [alone, three] = [await interpret(1), await interpret(3)];
  expect(alone).toHaveLength(105);
  expect(new Set(alone.map((prediction) => prediction.path)).size).toBe(105);
  expect(three.map((prediction) => prediction.path)).toEqual(alone.map((prediction) => prediction.path));
  for (const [index, { actual, predicted, loss, probability, path: file }] of alone.entries()) {
    expect(actual).toBe(file.split('/')[0]);
    expect(probability).toBeCloseTo(Math.exp(-loss), 5);
    expect(three[index].predicted).toBe(predicted);
    expect(Math.abs(three[index].loss - loss)).toBeLessThan(1e-4 * (1 + loss));
  }
  const mean = alone.reduce((sum, { loss }) => sum + loss, 0) / 105;
  const wrong = alone.filter(({ actual, predicted }) => actual !== predicted).length;
  expect(Math.abs(mean - epoch.valid_loss!) / mean).toBeLessThan(1e-4);
  expect(wrong / 105).toBeCloseTo(epoch.error_rate!, 9);
});

async function interpret(workers: number): Promise<Prediction[]> {
  const run = runs.run('whole');
  const { code, stderr } = await runCoordinator(['interpret', run, '--workers', String(workers), '--json']);
  expect(code, stderr).toBe(0);
  const lines = readFileSync(path.join(run, 'report', 'predictions.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as Prediction);
}
