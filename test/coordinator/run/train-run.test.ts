import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyRun } from '../../../coordinator/cli/verify-run.js';
import type { Summary } from '../../../coordinator/run-store/summary.js';
import { RondoError } from '../../../runtime/errors.js';
import { type Faults, fakeState } from '../../support/fake-run.js';
import { readJsonLines } from '../../support/run-files.js';
import { fresh, resume, runStart, Signals } from '../../support/start-run.js';
import { temporaryFolder } from '../../support/tiny-run.js';

describe('a run to its end', () => {
  it('leaves its directory, its summary, and nothing running', async () => {
    const { code, path, summary, calls, events } = await runStart(temporaryFolder(), fresh);
    expect(code).toBe(0);
    expect(summary).toMatchObject({
      status: 'completed',
      runId: 'mine',
      arch: 'resnet18',
      classes: ['cat', 'dog'],
      counts: { train: 22, valid: 5, quarantined: 1 },
      worldSize: 2,
      steps: 9,
      totalSteps: 9,
      parameterDigest: 'parameters-9',
      quarantined: [{ path: 'train/bad.jpg', reason: 'is truncated' }],
      recoveries: 0,
      metrics: { published: 3, dropped: 1 },
      error: null,
      resume: null,
    });
    expect(readFileSync(join(path, 'quarantined.jsonl'), 'utf8')).toBe(
      '{"path":"train/bad.jpg","reason":"is truncated"}\n',
    );
    expect(summary.wallSeconds).toBeGreaterThan(0);
    expect(
      summary.epochs.map(({ epoch, error_rate, valid_loss }) => [epoch, error_rate, valid_loss]),
    ).toEqual([
      [0, 0.4, 3],
      [1, 0.4, 3],
      [2, 0.4, 3],
    ]);
    expect(calls).toEqual(['launch 2', 'close cluster', 'close workers', 'close collector', 'close server']);
    expect(readdirSync(path).sort()).toEqual([
      'checkpoints',
      'images.sha256',
      'ledger.jsonl',
      'logs',
      'metrics.jsonl',
      'quarantined.jsonl',
      'report',
      'run.json',
      'summary.json',
    ]);
    expect(summary.report).toBe(join(path, 'report', 'index.html'));
    expect(readJsonLines(join(path, 'report', 'predictions.jsonl'))).toHaveLength(5);
    expect(readdirSync(join(path, 'checkpoints'))).toEqual(['epoch-0000', 'epoch-0001', 'epoch-0002']);
    expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed' });
    expect(events.filter(({ kind }) => kind === 'step')).toHaveLength(9);
    const metrics = readJsonLines<{ kind: string; event?: string }>(join(path, 'metrics.jsonl'));
    expect(metrics.filter(({ kind }) => kind === 'epoch')).toHaveLength(3);
    expect(metrics.map(({ event }) => event)).toContain('finished');
    expect(await verifyRun('mine', join(path, '..'))).toMatchObject({ ok: true, epochs: 3, steps: 9 });
  });

  it('completes without a report when that cannot be written, and says why', async () => {
    const runs = temporaryFolder();
    const loseRecord = (step: number) => {
      if (step === 8) rmSync(join(runs, 'mine', 'run.json'));
    };
    const { code, summary, path, events } = await runStart(runs, fresh, { beforeStep: loseRecord });
    expect(code).toBe(0);
    expect(summary).toMatchObject({ status: 'completed', report: null });
    expect(readdirSync(path)).not.toContain('report');
    expect(events).toContainEqual({
      kind: 'warning',
      text: expect.stringMatching(/^the report could not be written: .*run\.json/),
    });
  });

  it('has written its summary before it begins the report, and a second Ctrl-C then changes nothing', async () => {
    const runs = temporaryFolder();
    const signals = new Signals();
    const loseRecord = (step: number) => {
      if (step === 8) rmSync(join(runs, 'mine', 'run.json'));
    };
    const read = () => JSON.parse(readFileSync(join(runs, 'mine', 'summary.json'), 'utf8')) as Summary;
    let found: Summary | null = null;
    await runStart(runs, fresh, { beforeStep: loseRecord }, signals, (event) => {
      if (event.kind !== 'warning' || !event.text.startsWith('the report could not')) return;
      found = read();
      signals.atOnce.abort();
      expect(read().status).toBe('completed');
    });
    expect(found).toMatchObject({ status: 'completed', steps: 9, report: null });
    expect(read().status).toBe('completed');
  });

  it('does not wait for checkpoints while it trains, and waits for the last at the end', async () => {
    const pulled: number[] = [];
    let stepped = 0;
    const { code } = await runStart(temporaryFolder(), fresh, {
      eager: true,
      beforeStep: () => void stepped++,
      async pullState(_, { step }) {
        while (stepped < 9) await new Promise((resolve) => setImmediate(resolve));
        pulled.push(step);
        return fakeState(step);
      },
    });
    expect(code).toBe(0);
    expect(pulled).toEqual([3, 9]);
  });
});

describe('a run that is stopped', () => {
  it('finishes the step, keeps it, and says how to go on', async () => {
    const signals = new Signals();
    const stopAt = (step: number) => {
      if (step === 4) signals.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    };
    const runs = temporaryFolder();
    const { code, path, summary, calls } = await runStart(runs, fresh, { beforeStep: stopAt }, signals);
    expect(code).toBe(130);
    expect(summary).toMatchObject({ status: 'stopped', steps: 5, parameterDigest: 'parameters-5' });
    expect(summary.resume).toBe(`coordinator start --resume ${path}`);
    expect(readdirSync(join(path, 'checkpoints'))).toEqual(['epoch-0000', 'stopped-000005']);
    expect(calls.filter((call) => call.startsWith('close'))).toHaveLength(4);

    const resumed = await runStart(runs, resume);
    expect(resumed.code).toBe(0);
    expect(resumed.loaded).toEqual([...fakeState(5).values]);
    expect(resumed.summary).toMatchObject({ status: 'completed', steps: 9, recoveries: 1, worldSize: 2 });
    const straight = await runStart(temporaryFolder(), fresh);
    const withoutTime = ({ seconds: _, ...record }: Summary['epochs'][number]) => record;
    expect(resumed.summary.epochs.map(withoutTime)).toEqual(straight.summary.epochs.map(withoutTime));
    expect(await verifyRun(path, runs)).toMatchObject({ ok: true, epochs: 3, rollbacks: 1 });
  });

  it('ends before it began when it is asked to while it indexes', async () => {
    const signals = new Signals();
    signals.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    const { error, path } = await runStart(temporaryFolder(), fresh, {}, signals);
    expect(error?.exitCode).toBe(130);
    expect(existsSync(path)).toBe(false);
  });

  it('destroys everything at a second signal, and still leaves a summary', async () => {
    const signals = new Signals();
    const seen: string[] = [];
    const runs = temporaryFolder();
    const { calls } = await runStart(
      runs,
      fresh,
      {
        beforeStep(step) {
          if (step !== 4) return;
          signals.atOnce.abort();
          seen.push(readFileSync(join(runs, 'mine', 'summary.json'), 'utf8'));
          expect(existsSync(join(runs, 'mine', 'lock'))).toBe(false);
        },
      },
      signals,
    );
    expect(JSON.parse(seen[0]!)).toMatchObject({ status: 'stopped', steps: 4 });
    expect(calls.slice(0, 4)).toEqual(['launch 2', 'destroy workers', 'destroy cluster', 'destroy server']);
  });
});

describe('a run whose workers are lost, all that held its state', () => {
  it.each([
    [7, 6, [...fakeState(6).values]],
    [1, 0, []],
  ])('at step %i goes back to step %i and on to its end', async (loseStateAt, toStep, state) => {
    const runs = temporaryFolder();
    const { code, loaded, events, summary, path } = await runStart(runs, fresh, { loseStateAt });
    expect([code, loaded]).toEqual([0, state]);
    expect(events).toContainEqual({ kind: 'rolled-back', fromStep: loseStateAt, toStep });
    expect(summary).toMatchObject({ status: 'completed', steps: 9, recoveries: 1 });
    expect(summary.epochs).toHaveLength(3);
    expect(readJsonLines(join(path, 'ledger.jsonl'))).toContainEqual({ kind: 'rollback', toStep });
    expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, epochs: 3, rollbacks: 1 });
  });
});

describe('a run that fails', () => {
  it('names the lost worker, keeps its checkpoint, and goes on from it', async () => {
    const runs = temporaryFolder();
    const failed = await runStart(runs, fresh, { loseWorkerAt: 7 });
    expect(failed.error?.message).toBe('worker-1 (rank 1) was lost at step 7');
    expect(failed.error?.remedy).toContain('--resume');
    expect(failed.error?.exitCode).toBe(1);
    expect(failed.summary).toMatchObject({
      status: 'failed',
      steps: 7,
      error: { code: 'unavailable', message: 'worker-1 (rank 1) was lost at step 7' },
    });
    expect(failed.calls.filter((call) => call.startsWith('close'))).toHaveLength(4);
    expect(failed.events).toContainEqual(
      expect.objectContaining({ kind: 'worker-lost', worker: 'worker-1', step: 7 }),
    );

    const resumed = await runStart(runs, { ...resume, workers: 3 });
    expect(resumed.loaded).toEqual([...fakeState(6).values]);
    expect(resumed.summary).toMatchObject({ status: 'completed', worldSize: 3, steps: 9 });
    expect(await verifyRun('mine', runs)).toMatchObject({ ok: true, worldSizes: [2, 3], steps: 9 });
    expect(readJsonLines(join(resumed.path, 'ledger.jsonl'))).toContainEqual({ kind: 'rollback', toStep: 6 });
  });

  it('begins again when there is no checkpoint yet', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh, { loseWorkerAt: 1 });
    const { code, loaded, path } = await runStart(runs, resume);
    expect([code, loaded]).toEqual([0, []]);
    expect(await verifyRun(path, runs)).toMatchObject({ ok: true, epochs: 3 });
  });

  it('goes on when a checkpoint cannot be saved, and fails when it is the last', async () => {
    const full = new RondoError('resource-exhausted', 'the disk is full');
    const at = (bad: number): Faults => ({
      async pullState(_, { step }) {
        if (step === bad) throw full;
        return fakeState(step);
      },
    });
    const middle = await runStart(temporaryFolder(), fresh, at(6));
    expect(middle.code).toBe(0);
    expect(middle.events).toContainEqual({
      kind: 'warning',
      text: 'epoch-0001 was not saved: the disk is full',
    });
    const last = await runStart(temporaryFolder(), fresh, at(9));
    expect(last.error).toMatchObject({ code: 'resource-exhausted' });
    expect(last.summary).toMatchObject({ status: 'failed', steps: 9 });
    expect(readdirSync(join(last.path, 'checkpoints'))).toEqual(['epoch-0000', 'epoch-0001']);
  });

  it('closes what is open when something cannot be opened', async () => {
    const { error, calls, summary } = await runStart(temporaryFolder(), fresh, {
      openCluster() {
        throw new RondoError('failed-precondition', 'port 7070 is already in use');
      },
    });
    expect(error?.exitCode).toBe(3);
    expect(calls).toEqual(['close collector', 'close server']);
    expect(summary).toMatchObject({ status: 'failed', steps: 0 });
  });
});
