import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { RunRecord } from '../../coordinator/run-store/run-directory.js';
import { killCoordinators, runCoordinator } from '../support/coordinator-process.js';
import { drawHalves, type Halves } from '../support/halves.js';
import { openQuickRuns } from '../support/quick-run.js';
import { readParameters, readSummaryFile } from '../support/run-files.js';

const timeoutMs = 600_000;
const runs = openQuickRuns();
let halves: Halves;

beforeAll(async () => {
  halves = await drawHalves(120);
}, timeoutMs);
afterEach(killCoordinators);
afterAll(() => {
  runs.remove();
  rmSync(halves.root, { recursive: true, force: true });
});

async function train(name: string, data: string, ...more: string[]) {
  const seed = ['--seed', '1', '--micro-batch', '16'];
  const { code, stderr, events } = await runCoordinator(runs.start(name, data, ...seed, ...more));
  expect(code, stderr).toBe(0);
  return { summary: readSummaryFile(runs.run(name)), events };
}

/**
 * Five classes teach the network to see; 24 images of each of five others then teach it to tell those apart.
 */
it(
  'a network pretrained on other classes, frozen then unfrozen, beats one from scratch with the same budget',
  async () => {
    const few = ['--valid-pct', '0.8', '--batch-size', '16'];
    const before = await train(
      'before',
      halves.first,
      ...['--valid-pct', '0.1', '--batch-size', '32', '--epochs', '8'],
    );
    expect(before.summary.epochs.at(-1)!.error_rate).toBeLessThan(0.4);

    const recipe = ['--freeze-epochs', '3', '--epochs', '3', '--lr', '3e-3', '--unfreeze-lr', '1e-4,1e-3'];
    const tuned = await train('tuned', halves.second, ...few, '--from', runs.run('before'), ...recipe);
    const scratch = await train('scratch', halves.second, ...few, '--epochs', '6', '--lr', '3e-3');
    expect(tuned.summary.counts).toEqual({ train: 120, valid: 480, quarantined: 0 });
    expect(scratch.summary.counts).toEqual(tuned.summary.counts);
    expect(scratch.summary.steps).toBe(tuned.summary.steps);

    const [best, other] = [tuned, scratch].map(({ summary }) => summary.epochs.at(-1)!.error_rate!);
    expect(best).toBeLessThan(0.7 * other!);
    expect(tuned.events).toContainEqual({ kind: 'note', text: expect.stringContaining('with a fresh head') });

    const { source } = JSON.parse(
      readFileSync(path.join(runs.run('tuned'), 'run.json'), 'utf8'),
    ) as RunRecord;
    const stage = path.join(runs.run('tuned'), 'checkpoints', 'stage-1');
    expect(readdirSync(stage).sort()).toEqual(['checkpoint.json', 'state.safetensors']);
    const [start, frozen] = [readParameters(source!.checkpoint), readParameters(stage)];
    const unchanged = [...frozen].filter(([name, values]) =>
      values.every((value, at) => value === start.get(name)?.[at]),
    );
    // While frozen, the body's convolutions stay to the bit; its batch norms and the head learn.
    const convolutions = [...start.keys()].filter((name) => /(conv\d|downsample\.0)\.weight$/.test(name));
    expect(unchanged.map(([name]) => name).sort()).toEqual(convolutions.sort());

    const again = await train(
      'again',
      halves.second,
      ...few,
      '--from',
      stage,
      '--freeze-epochs',
      '0',
      '--epochs',
      '1',
      '--lr',
      '1e-6,1e-5',
    );
    expect(again.events).toContainEqual({
      kind: 'note',
      text: `starting from stage-1 of run tuned (step ${tuned.summary.steps / 2})`,
    });
    // Nearly nothing is learned at these rates: it goes on from where the stage ended.
    const atStage = tuned.summary.epochs[2]!.error_rate!;
    expect(Math.abs(again.summary.epochs[0]!.error_rate! - atStage)).toBeLessThan(0.1);
  },
  timeoutMs,
);
