import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBest } from '../../../coordinator/checkpoints/best-epoch.js';
import { chooseCheckpoint } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { verifyRun } from '../../../coordinator/cli/verify-run.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { RondoError } from '../../../runtime/errors.js';
import { type Faults, fakeState } from '../../support/fake-run.js';
import { fresh, resume, runStart } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('a run that keeps the best', () => {
  it('marks it by the measure it is told, moves the mark when there is a better one, and keeps it', async () => {
    const losses = [3, 1, 2, 0.5, 2, 2];
    const keep = { ...fresh, epochs: 6, 'keep-best': 'valid_loss' };
    const runs = temporaryFolder();
    const marked: (string | null)[] = [];
    const { summary, path } = await runStart(runs, keep, {
      validLoss: (epoch) => losses[epoch]!,
      beforeStep(step) {
        if (step > 0 && step % 3 === 0) marked.push(readBest(join(runs, 'mine', 'checkpoints')));
      },
    });
    expect(marked).toEqual(['epoch-0000', 'epoch-0001', 'epoch-0001', 'epoch-0003', 'epoch-0003']);
    expect(summary).toMatchObject({ bestEpoch: 3, bestCheckpoint: 'epoch-0003', earlyStopped: false });
    expect(readdirSync(join(path, 'checkpoints')).sort()).toEqual([
      'best',
      'epoch-0003',
      'epoch-0004',
      'epoch-0005',
    ]);
    const chosen = await chooseCheckpoint(runDirectoryAt(path), undefined);
    expect(chosen).toMatchObject({
      name: 'best',
      record: { epoch: 3 },
      epoch: { epoch: 3, valid_loss: 0.5 },
    });
  });

  it('marks nothing unless it is asked to', async () => {
    const { summary } = await runStart(temporaryFolder(), fresh);
    expect(summary).toMatchObject({ bestEpoch: 0, bestCheckpoint: null });
  });
});

const saved = (events: readonly RunEvent[]) =>
  events.flatMap((event) => (event.kind === 'checkpoint' ? [event.name] : []));

describe('a run that saves states inside epochs', () => {
  it('does so after every so many steps, and keeps as many as it is told', async () => {
    const often = { ...fresh, 'checkpoint-steps': 2, 'keep-checkpoints': 3 };
    const { events, path } = await runStart(temporaryFolder(), often);
    // Step 6 ends an epoch: nothing is saved twice.
    expect(saved(events)).toEqual([
      ...['step-000002', 'epoch-0000', 'step-000004', 'epoch-0001', 'step-000008', 'epoch-0002'],
    ]);
    expect(readdirSync(join(path, 'checkpoints')).sort()).toEqual([
      ...['epoch-0000', 'epoch-0001', 'epoch-0002', 'step-000004', 'step-000008'],
    ]);
  });

  it('does so when enough time has passed since the last, of whatever kind', async () => {
    const hour = 3_600_000;
    let passedMs = 0;
    const beforeStep = () => {
      passedMs += hour;
    };
    const eachHour = { beforeStep, aheadMs: () => passedMs };
    const often = await runStart(temporaryFolder(), { ...fresh, 'checkpoint-minutes': 90 }, eachHour);
    expect(saved(often.events)).toEqual([
      ...['step-000002', 'epoch-0000', 'step-000005', 'epoch-0001', 'step-000008', 'epoch-0002'],
    ]);
    const rarely = await runStart(temporaryFolder(), { ...fresh, 'checkpoint-minutes': 200 }, eachHour);
    expect(saved(rarely.events)).toEqual(['epoch-0000', 'epoch-0001', 'epoch-0002']);
  });

  it('is resumed from there, or from the one before where that one is damaged, which a warning names', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, { ...fresh, 'checkpoint-steps': 2 }, { loseWorkerAt: 5 });
    truncateSync(join(path, 'checkpoints', 'step-000004', 'state.safetensors'), 50);
    const resumed = await runStart(runs, resume, { loseWorkerAt: 5 });
    expect(resumed.loaded).toEqual([...fakeState(3).values]);
    expect(resumed.events).toContainEqual({
      kind: 'warning',
      text: expect.stringMatching(/step-000004.* is damaged.*going on from .*epoch-0000 \(step 3\)/),
    });
    const again = await runStart(runs, { ...resume, 'checkpoint-steps': 1 }, { loseWorkerAt: 5 });
    expect(saved(again.events)).toEqual(['step-000004', 'step-000005']);
    const last = await runStart(runs, resume);
    expect(last.loaded).toEqual([...fakeState(5).values]);
    expect(last.summary).toMatchObject({ status: 'completed', steps: 9 });
    expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 3, steps: 9 });
  });
});

describe('a state that several workers hold', () => {
  const pullFrom =
    (asked: string[], gone: readonly string[]): Faults['pullState'] =>
    async (address, { step }) => {
      asked.push(address);
      if (gone.includes(address)) throw new RondoError('unavailable', `${address} is gone`);
      return fakeState(step);
    };

  it('is copied from the next one when the first is gone', async () => {
    const asked: string[] = [];
    const pullState = pullFrom(asked, ['127.0.0.1:0']);
    const { events, code } = await runStart(temporaryFolder(), { ...fresh, epochs: 1 }, { pullState });
    expect(code).toBe(0);
    expect(asked).toEqual(['127.0.0.1:0', '127.0.0.1:1']);
    expect(saved(events)).toEqual(['epoch-0000']);
  });

  it('is not saved when all are', async () => {
    const pullState = pullFrom([], ['127.0.0.1:0', '127.0.0.1:1']);
    const { error } = await runStart(temporaryFolder(), { ...fresh, epochs: 1 }, { pullState });
    expect(error?.message).toBe('127.0.0.1:1 is gone');
  });
});
