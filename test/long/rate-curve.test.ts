import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { RatePoint, Suggestions } from '../../coordinator/lr-find/suggestions.js';
import { runCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';

interface SearchRecord {
  readonly points: readonly (RatePoint & { readonly learningRates: readonly number[] })[];
  readonly suggestions: Suggestions;
  readonly diverged: boolean;
  readonly stateDigest: string;
}

const runs = await openTinyRuns(25);
const { data } = runs;

it('coordinator lr-find draws the same curve on one and two workers, bit for bit, and leaves the state as it was', async () => {
  const [alone, two] = [await search(1), await search(2)];

  // Each worker's digest after the test was compared with the one before it; both worlds begin with the
  // same state.
  expect(alone.stateDigest).toMatch(/^[0-9a-f]{64}$/);
  expect(two.stateDigest).toBe(alone.stateDigest);

  expect(alone.diverged).toBe(true);
  expect(two.diverged).toBe(true);
  expect(two.points).toEqual(alone.points);
  for (const { learningRates } of alone.points) {
    expect(learningRates[2] / learningRates[0]).toBeCloseTo(100, 9);
  }
  expect(alone.points[0].learningRate).toBe(1e-7);
  expect(alone.points[0].loss).not.toBe(alone.points[8].loss);
});

async function search(workers: number): Promise<SearchRecord> {
  const out = path.join(runs.root, `world-${workers}`);
  const { code, stderr, events } = await runCoordinator(
    runs.findRate(out, data, '--workers', String(workers), '--steps', '20'),
  );
  expect(code, stderr).toBe(0);
  const record = JSON.parse(readFileSync(path.join(out, 'lr-find.json'), 'utf8')) as SearchRecord;
  const { suggestions, stateDigest } = record;
  expect(events.at(-1)).toMatchObject({
    kind: 'lr-find',
    suggestions,
    stateDigest,
    steps: record.points.length,
  });
  for (const name of ['lr-find.svg', 'lr-find.png']) expect(existsSync(path.join(out, name))).toBe(true);
  return record;
}
