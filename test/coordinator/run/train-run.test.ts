import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBest } from '../../../coordinator/checkpoints/best-epoch.js';
import { chooseCheckpoint, describeSkipped } from '../../../coordinator/checkpoints/choose-checkpoint.js';
import { start } from '../../../coordinator/cli/start.js';
import { verifyRun } from '../../../coordinator/cli/verify-run.js';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import { runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import type { Summary } from '../../../coordinator/run-store/summary.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { RondoError } from '../../../runtime/errors.js';
import { type FakeRun, type Faults, fakeRun, fakeState } from '../../support/fake-run.js';
import { memoryOutput } from '../../support/memory-output.js';
import { readJsonLines } from '../../support/run-files.js';
import { temporaryFolder, tinyDataset } from '../../support/tiny-run.js';

/** 9 steps: 3 epochs of 3. */
const recipe = { data: 'photos', arch: 'resnet18', size: 64, 'batch-size': 8, 'micro-batch': 4, epochs: 3 };

interface Session extends FakeRun {
  readonly code: number | null;
  readonly error: RondoError | null;
  readonly events: RunEvent[];
  readonly path: string;
  readonly summary: Summary;
}

class Signals {
  readonly graceful = new AbortController();
  readonly atOnce = new AbortController();
  readonly signal = this.graceful.signal;
  readonly immediate = this.atOnce.signal;
  close() {}
}

async function runStart(
  runs: string,
  raw: RawStart,
  faults: Faults = {},
  signals = new Signals(),
  hear: (event: RunEvent) => void = () => {},
): Promise<Session> {
  const fake = fakeRun(faults);
  const output = memoryOutput();
  const write = output.write.bind(output);
  output.write = (line: string) => {
    hear(JSON.parse(line) as RunEvent);
    return write(line);
  };
  const environment = {
    services: fake.services,
    output,
    argv: ['node', '/bin/coordinator', 'start'],
    openLifecycle: () => signals,
    exit: () => {},
  };
  let [code, error]: [number | null, RondoError | null] = [null, null];
  try {
    code = await start({ 'run-dir': runs, json: true, ...raw }, environment);
  } catch (thrown) {
    error = RondoError.from(thrown);
  }
  const events = output.lines().map((line) => JSON.parse(line) as RunEvent);
  const path = join(runs, 'mine');
  const file = join(path, 'summary.json');
  const summary = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Summary) : (null as never);
  return { ...fake, code, error, events, path, summary };
}

const fresh = { ...recipe, name: 'mine', workers: 2 };
const resume = { resume: 'mine' };

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

describe('a run that is resumed', () => {
  it('says that a completed one has nothing left to do', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh);
    const again = await runStart(runs, resume);
    expect(again.code).toBe(0);
    expect(again.calls).toEqual([]);
    expect(again.events[0]).toEqual({
      kind: 'note',
      text: 'run mine is completed: all of its 9 steps are taken',
    });
  });

  it('reports a run that was killed between its last step and its summary, from its last checkpoint', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh);
    for (const lost of ['summary.json', 'report']) rmSync(join(path, lost), { recursive: true });
    const resumed = await runStart(runs, resume);
    expect(resumed.code).toBe(0);
    expect(resumed.events.filter(({ kind }) => kind === 'step')).toEqual([]);
    expect(resumed.loaded).toEqual([...fakeState(9).values]);
    expect(resumed.summary).toMatchObject({ status: 'completed', steps: 9, recoveries: 1 });
    expect(readJsonLines(join(path, 'report', 'predictions.jsonl'))).toHaveLength(5);
    expect(readFileSync(resumed.summary.report!, 'utf8')).toContain('evaluated after epoch 3 on');
  });

  it('is completed without a report when the evaluation for it fails', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh);
    rmSync(join(path, 'summary.json'));
    const { code, summary, events } = await runStart(runs, resume, {
      openCluster() {
        throw new RondoError('unavailable', 'no port is free');
      },
    });
    expect(code).toBe(0);
    expect(summary).toMatchObject({ status: 'completed', report: null });
    const text = 'the report could not be written: no port is free';
    expect(events).toContainEqual({ kind: 'warning', text });
  });

  it('takes its data from where it lies now, when it is the same, and is told so once', async () => {
    const runs = join(temporaryFolder(), "my run's");
    await runStart(runs, fresh, { loseWorkerAt: 4 });
    const asked: (string | undefined)[][] = [];
    const openDataset: Faults['openDataset'] = async ({ data, labelsFile }) => {
      asked.push([data, labelsFile]);
      return { dataset: tinyDataset(), quarantined: [] };
    };
    const moved = { data: '/new place/photos', labels: '/new place/labels.csv' };
    const failed = await runStart(runs, { ...resume, ...moved }, { loseWorkerAt: 7, openDataset });
    expect(asked).toEqual([[moved.data, moved.labels]]);
    const path = join(runs, 'mine').replaceAll("'", "'\\''");
    expect(failed.error?.remedy).toBe(`go on with: coordinator start --resume '${path}'`);
    const again = await runStart(runs, resume, { openDataset });
    expect(again.summary).toMatchObject({ status: 'completed', steps: 9 });
    expect(asked).toEqual(Array(2).fill([moved.data, moved.labels]));
  });

  it('refuses data that is not its own, and says how to name a place for data that is away', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh, { loseWorkerAt: 4 });
    const other: Faults['openDataset'] = async () => ({
      ...{ dataset: { ...tinyDataset(), digest: 'other' }, quarantined: [] },
    });
    const there = await runStart(runs, { ...resume, data: '/elsewhere' }, { openDataset: other });
    expect(there.error).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/are not those that run mine began with/),
      remedy: expect.stringContaining('give --data the folder that holds them now'),
    });
    const here = await runStart(runs, resume, { openDataset: other });
    expect(here.error?.remedy).toContain('--data DIR');
    const away: Faults['openDataset'] = () =>
      Promise.reject(new RondoError('not-found', 'there is no folder /photos', { remedy: 'leave it out' }));
    const gone = await runStart(runs, resume, { openDataset: away });
    expect(gone.error).toMatchObject({
      exitCode: 2,
      message: 'there is no folder /photos',
      remedy: 'if it has moved, say where it is now: --data DIR',
    });
    expect((await runStart(runs, resume)).code).toBe(0);
  });

  it('refuses other options than the run’s, and takes the same', async () => {
    const runs = temporaryFolder();
    await runStart(runs, fresh, { loseWorkerAt: 7 });
    const { error } = await runStart(runs, { ...resume, size: 96 });
    expect(error).toMatchObject({ exitCode: 2, message: '--size is 96, but run mine was started with 64' });
    expect((await runStart(runs, { ...resume, ...recipe })).code).toBe(0);
  });

  it('refuses other data than the run’s', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh, { loseWorkerAt: 7 });
    const file = join(path, 'run.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"datasetDigest": "d+"/, '"datasetDigest": "e"'));
    const { error } = await runStart(runs, resume);
    expect(error).toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('/nowhere'),
    });
  });

  it('refuses a checkpoint of another run', async () => {
    const runs = temporaryFolder();
    const { path } = await runStart(runs, fresh, { loseWorkerAt: 7 });
    const file = join(path, 'run.json');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replaceAll('"seed": 42,\n    "arch"', '"seed": 43,\n    "arch"'),
    );
    const { error } = await runStart(runs, resume);
    expect(error).toMatchObject({ code: 'data-loss', message: expect.stringContaining('epoch-0001') });
  });
});
