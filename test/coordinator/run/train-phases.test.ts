import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyRun } from '../../../coordinator/cli/verify-run.js';
import { RondoError } from '../../../runtime/errors.js';
import { fakeState } from '../../support/fake-run.js';
import { readJsonLines } from '../../support/run-files.js';
import { fresh, resume, runStart, Signals } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('a run that stops early', () => {
  const losses = [3, 1, 2, 2, 2, 2];
  const faults = { validLoss: (epoch: number) => losses[epoch]! };
  const early = { ...fresh, epochs: 6, 'early-stopping': 2 };

  it('ends with that epoch, is completed, and names and marks the best epoch', async () => {
    const runs = temporaryFolder();
    const { code, summary, events, path, calls } = await runStart(runs, early, faults);
    expect(code).toBe(0);
    expect(summary).toMatchObject({
      status: 'completed',
      earlyStopped: true,
      bestEpoch: 1,
      bestCheckpoint: 'epoch-0001',
      // Whatever the workers did before they heard of it.
      ...{ steps: 12, parameterDigest: 'parameters-12' },
      totalSteps: 18,
      recoveries: 0,
      resume: null,
    });
    expect(events).toContainEqual({
      ...{ kind: 'early-stop', phase: 'unfrozen', nextPhase: null, epoch: 3 },
      ...{ patience: 2, bestEpoch: 1, validLoss: 1 },
    });
    expect(readdirSync(join(path, 'checkpoints')).sort()).toEqual([
      'best',
      'epoch-0001',
      'epoch-0002',
      'epoch-0003',
    ]);
    const best = JSON.parse(readFileSync(join(path, 'checkpoints', 'best', 'checkpoint.json'), 'utf8'));
    expect(best).toMatchObject({ epoch: 1, step: 6, whole: true });
    expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 4, steps: 12 });
    expect(calls.filter((call) => call.startsWith('launch'))).toEqual(['launch 2']);

    const again = await runStart(runs, resume);
    expect([again.code, again.calls]).toEqual([0, []]);
    expect(again.events[0]).toEqual({
      kind: 'note',
      text: 'run mine is completed: it stopped early, after 12 steps',
    });
  });

  it('decides after a resumption as if it had never been interrupted', async () => {
    const runs = temporaryFolder();
    const interrupted = await runStart(runs, early, { ...faults, loseWorkerAt: 10 });
    expect(interrupted.summary).toMatchObject({ status: 'failed', earlyStopped: false, bestEpoch: 1 });
    const resumed = await runStart(runs, resume, faults);
    expect(resumed.summary).toMatchObject({
      status: 'completed',
      earlyStopped: true,
      steps: 12,
      bestEpoch: 1,
    });
  });

  it('does not train on when it was interrupted after it had decided', async () => {
    const runs = temporaryFolder();
    await runStart(runs, early, faults);
    // As if the coordinator had been killed before it wrote how the run ended.
    rmSync(join(runs, 'mine', 'summary.json'));
    const resumed = await runStart(runs, resume, faults);
    expect(resumed.code).toBe(0);
    expect(resumed.events.filter(({ kind }) => kind === 'step')).toEqual([]);
    expect(resumed.summary).toMatchObject({
      ...{ status: 'completed', earlyStopped: true, steps: 12 },
      report: join(resumed.path, 'report', 'index.html'),
    });
    expect(readFileSync(resumed.summary.report!, 'utf8')).toContain('evaluated after epoch 4 on');
    expect(resumed.events).toContainEqual(expect.objectContaining({ kind: 'early-stop', epoch: 3 }));
    expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 4, steps: 12 });
  });

  describe('in a frozen phase', () => {
    const losses = [1, 2, 2, 2, 9, 8, 8, 8, 8];
    const faults = { validLoss: (epoch: number) => losses[epoch]! };
    const weights = () => {
      const file = join(temporaryFolder(), 'w.safetensors');
      writeFileSync(file, 'weights');
      return file;
    };
    const phases = { ...fresh, 'freeze-epochs': 4, epochs: 5, 'early-stopping': 2 };

    it('goes on with the next phase, from the state that the epoch ended with', async () => {
      const runs = temporaryFolder();
      const run = await runStart(runs, { ...phases, pretrained: weights() }, faults);
      expect(run.code).toBe(0);
      // Epochs 0 to 2 of the frozen phase, then 4 to 7 of the unfrozen one.
      expect(run.summary).toMatchObject({
        status: 'completed',
        earlyStopped: true,
        steps: 21,
        totalSteps: 27,
      });
      expect(run.summary.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 4, 5, 6, 7]);
      expect(run.summary).toMatchObject({ parameterDigest: 'parameters-24', recoveries: 0 });
      expect(run.loaded).toEqual([...fakeState(9).values]);
      expect(run.calls.filter((call) => call.startsWith('launch'))).toEqual(['launch 2']);
      const stops = run.events.filter(({ kind }) => kind === 'early-stop');
      expect(stops).toEqual([
        expect.objectContaining({ phase: 'frozen', nextPhase: 'unfrozen', epoch: 2, bestEpoch: 0 }),
        expect.objectContaining({ phase: 'unfrozen', nextPhase: null, epoch: 7, bestEpoch: 5 }),
      ]);
      const stage = join(run.path, 'checkpoints', 'stage-1', 'checkpoint.json');
      expect(JSON.parse(readFileSync(stage, 'utf8'))).toMatchObject({ epoch: 2, step: 9 });
      const lines = readJsonLines(join(run.path, 'ledger.jsonl')) as { kind: string; step: number }[];
      const taken = lines.filter(({ kind }) => kind === 'step');
      expect(taken.map(({ step }) => step)).toEqual([
        ...[0, 1, 2, 3, 4, 5, 6, 7, 8],
        ...[12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
      ]);
      expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 7, steps: 21 });
    });

    it.each([
      ['before the next phase has an epoch', 13],
      ['in the next phase', 17],
    ])('goes on there too when the run was interrupted %s', async (_, loseWorkerAt) => {
      const runs = temporaryFolder();
      const failed = await runStart(runs, { ...phases, pretrained: weights() }, { ...faults, loseWorkerAt });
      expect(failed.summary.status).toBe('failed');
      const resumed = await runStart(runs, resume, faults);
      expect(resumed.summary).toMatchObject({
        ...{ status: 'completed', earlyStopped: true, steps: 21, parameterDigest: 'parameters-24' },
      });
      expect(resumed.summary.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 4, 5, 6, 7]);
      expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 7, steps: 21 });
    });

    it.each([
      ['that have gone on', 'not-found'],
      ['that are gone', 'unavailable'],
    ] as const)(
      'comes to its end once more when that was copied too late from workers %s',
      async (_, code) => {
        const missed = new Set<string>();
        const run = await runStart(
          temporaryFolder(),
          { ...phases, pretrained: weights() },
          {
            ...faults,
            async pullState(address, { step }) {
              if (step !== 9 || missed.size === 2) return fakeState(step);
              missed.add(address);
              throw new RondoError(code, `no state after step ${step}`);
            },
          },
        );
        expect(run.code).toBe(0);
        expect(run.events).toContainEqual({ kind: 'rolled-back', fromStep: 12, toStep: 6 });
        expect(run.loaded).toEqual([...fakeState(6).values, ...fakeState(9).values]);
        expect(run.summary).toMatchObject({
          ...{ status: 'completed', earlyStopped: true, steps: 21, parameterDigest: 'parameters-24' },
        });
        expect(run.summary.epochs.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 4, 5, 6, 7]);
      },
    );

    it('fails when that can never be copied', async () => {
      let tries = 0;
      const run = await runStart(
        temporaryFolder(),
        { ...phases, pretrained: weights() },
        {
          ...faults,
          async pullState(_, { step }) {
            if (step !== 9) return fakeState(step);
            tries += 1;
            throw new RondoError('unavailable', 'no way to the worker');
          },
        },
      );
      expect(run.summary).toMatchObject({ status: 'failed', error: { message: 'no way to the worker' } });
      // Of two workers.
      expect(tries).toBe(4 * 2);
    });

    it('can be stopped by a signal while the phases change', async () => {
      const signals = new Signals();
      const runs = temporaryFolder();
      const stopped = await runStart(
        runs,
        { ...phases, pretrained: weights() },
        {
          ...faults,
          async pullState(_, { step }) {
            if (step === 9) signals.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
            return fakeState(step);
          },
        },
        signals,
      );
      expect(stopped.code).toBe(130);
      expect(stopped.summary).toMatchObject({ status: 'stopped', steps: 9 });
      const resumed = await runStart(runs, resume, faults);
      expect(resumed.summary).toMatchObject({ status: 'completed', steps: 21 });
    });
  });

  it('goes to its end when the loss falls in time', async () => {
    const { summary } = await runStart(temporaryFolder(), { ...early, 'early-stopping': 5 }, faults);
    expect(summary).toMatchObject({ status: 'completed', earlyStopped: false, steps: 18, bestEpoch: 1 });
  });

  it('is stopped, not completed, by a signal', async () => {
    const signals = new Signals();
    const beforeStep = (step: number) => {
      if (step === 4) signals.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    };
    const { code, summary } = await runStart(temporaryFolder(), early, { ...faults, beforeStep }, signals);
    expect(code).toBe(130);
    expect(summary).toMatchObject({ status: 'stopped', earlyStopped: false });
  });
});
