import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseCheckpoint, describeSkipped } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { fresh, resume, runStart } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('a run whose steps are skipped', () => {
  const long = { ...fresh, epochs: 12 };
  const warnings = (events: readonly RunEvent[]) => events.filter(({ kind }) => kind === 'warning');

  it('is warned of at the first one, and completes when training goes on', async () => {
    const runs = temporaryFolder();
    const { code, summary, events } = await runStart(runs, fresh, { skips: (step) => step % 4 === 1 });
    expect(code).toBe(0);
    expect(summary).toMatchObject({ status: 'completed', steps: 9, skippedSteps: 2 });
    expect(warnings(events)).toEqual([
      { kind: 'warning', text: expect.stringMatching(/^step 1 was skipped: .* not finite/) },
    ]);
    const directory = runDirectoryAt(join(runs, 'mine'));
    const [first, last] = await Promise.all(
      ['epoch-0000', 'epoch-0002'].map((name) => chooseCheckpoint(directory, name)),
    );
    expect([first!.skippedSteps, last!.skippedSteps]).toEqual([1, 2]);
    expect(describeSkipped(last!)).toMatch(/^2 of the 9 steps before epoch-0002 were skipped/);
  });

  it('fails after 20 in a row, not after 19', async () => {
    const barely = await runStart(temporaryFolder(), long, { skips: (step) => step >= 5 && step < 24 });
    expect([barely.code, barely.summary.skippedSteps]).toEqual([0, 19]);
    const runs = temporaryFolder();
    const diverged = await runStart(runs, long, { skips: (step) => step >= 5 });
    expect(diverged.error).toMatchObject({
      code: 'aborted',
      exitCode: 1,
      message: expect.stringMatching(/^training has diverged: the last 20 steps, up to step 24/),
      remedy: expect.stringContaining('--lr'),
    });
    expect(diverged.summary).toMatchObject({ status: 'failed', steps: 25, skippedSteps: 20 });

    const resumed = await runStart(runs, resume, { skips: (step) => step >= 5 });
    expect(resumed.error?.message).toMatch(/up to step 24/);
  });

  it('counts on where it was interrupted', async () => {
    const runs = temporaryFolder();
    const faults = { skips: (step: number) => step >= 5 };
    await runStart(runs, long, { ...faults, loseWorkerAt: 15 });
    const { error } = await runStart(runs, resume, faults);
    expect(error?.message).toMatch(/the last 20 steps, up to step 24/);
  });

  it('fails when there was no other step, however few there were', async () => {
    const { error, summary } = await runStart(temporaryFolder(), fresh, { skips: () => true });
    expect(error).toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('all 9 steps were skipped'),
    });
    expect(summary).toMatchObject({ status: 'failed', skippedSteps: 9 });
  });
});
