import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../worker/model/weights/safetensors.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(25); // 60 training images: 3 steps an epoch
const { data } = runs;

/** Everything that a recipe can ask for beyond the lesson's. */
const everything = [
  ...['--label-smoothing', '0.1', '--mixup', '0.4', '--clip-norm', '0.5', '--ema', '0.9', '--head', 'linear'],
  ...['--class-weights', 'balanced', '--keep-best', 'valid_loss'],
];

beforeAll(async () => {
  const { code, stderr } = await runCoordinator(
    runs.start('straight', data, '--workers', '2', ...everything, '--epochs', '2'),
  );
  expect(code, stderr).toBe(0);
});

const stateFile = (run: string, name: string) =>
  path.join(runs.run(run), 'checkpoints', name, 'state.safetensors');
const digestOf = (run: string, name: string): string =>
  JSON.parse(readFileSync(path.join(runs.run(run), 'checkpoints', name, 'checkpoint.json'), 'utf8'))
    .stateDigest;

describe('a run with every choice of the recipe', () => {
  it('ends at the same state after an interruption, moving average included', async () => {
    const recipe = [...everything, '--epochs', '2'];
    const interrupted = startCoordinator(runs.start('again', data, '--workers', '2', ...recipe));
    await interrupted.event((event) => event.kind === 'step' && event.step === 2);
    interrupted.kill('SIGINT');
    expect((await interrupted.exited).code).toBe(130);
    const resumed = await runCoordinator(runs.resume('again'));
    expect(resumed.code, resumed.stderr).toBe(0);
    const [whole, again] = ['straight', 'again'].map((run) => readSummaryFile(runs.run(run)));
    expect(again).toMatchObject({ status: 'completed', steps: 6, parameterDigest: whole!.parameterDigest });
    expect(digestOf('again', 'epoch-0001')).toBe(digestOf('straight', 'epoch-0001'));
    const figures = (summary: typeof whole) =>
      summary!.epochs.map((epoch) => [epoch.valid_loss, epoch.error_rate]);
    expect(figures(again)).toEqual(figures(whole));

    const tensors = readSafetensors(readFileSync(stateFile('straight', 'epoch-0001')));
    const [average, trained] = ['average.fc.weight', 'fc.weight'].map((name) => tensors.get(name)!);
    expect(average!.shape).toEqual([3, 512]);
    expect(Array.from(average!.values as Float32Array)).not.toEqual(
      Array.from(trained!.values as Float32Array),
    );
    const statistics = ['average.bn1.running_mean', 'bn1.running_mean'].map((name) => tensors.get(name)!);
    expect(statistics[0]!.values).not.toEqual(statistics[1]!.values);

    // The digest is that of what is exported: averages, running statistics among them.
    const format = ['--format', 'safetensors', '--checkpoint', 'epoch-0001'];
    const exported = await runCoordinator(['export', runs.run('straight'), ...format]);
    expect(exported.code, exported.stderr).toBe(0);
    const file = readFileSync(path.join(runs.run('straight'), 'export', 'safetensors', 'model.safetensors'));
    const values = file.subarray(8 + Number(file.readBigUInt64LE(0)));
    expect(createHash('sha256').update(values).digest('hex')).toBe(whole!.parameterDigest);
    expect(readSafetensors(file).get('bn1.running_mean')!.values).toEqual(statistics[0]!.values);
    expect(existsSync(stateFile('straight', 'best'))).toBe(true);
    expect(digestOf('straight', 'best')).toBe(digestOf('straight', whole!.bestCheckpoint!));
  });
});

describe('early stopping', () => {
  it('of frozen epochs has the same workers go on with all layers; of those it completes the run', async () => {
    // At a rate of 10 the loss goes up and never comes back.
    const phases = ['--freeze-epochs', '20', '--epochs', '30', '--lr', '10', '--unfreeze-lr', '10'];
    const recipe = ['--from', runs.run('straight'), '--head', 'linear', ...phases, '--clip-norm', '1'];
    const { code, stderr, events } = await runCoordinator(
      runs.start('phases', data, '--workers', '2', ...recipe, '--early-stopping', '1'),
    );
    expect(code, stderr).toBe(0);
    const summary = readSummaryFile(runs.run('phases'));
    expect(summary).toMatchObject({ status: 'completed', earlyStopped: true, resume: null });
    expect(summary.steps).toBeLessThan(summary.totalSteps);
    expect(summary.epochs.map(({ epoch }) => epoch)).toContain(20);
    expect(summary.metrics.dropped).toBe(0);
    // When the phase's end is copied too late, the run goes back for it, and stops there again.
    const stops = events.filter(({ kind }) => kind === 'early-stop');
    expect(stops[0]).toMatchObject({ phase: 'frozen', nextPhase: 'unfrozen', patience: 1 });
    expect(stops.at(-1)).toMatchObject({ phase: 'unfrozen', nextPhase: null, patience: 1 });
    expect(events.filter(({ kind }) => kind === 'assigned')).toHaveLength(2 + summary.recoveries);
    expect(existsSync(stateFile('phases', 'stage-1'))).toBe(true);
    const verified = await runCoordinator(['verify-run', runs.run('phases')]);
    expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  });
});
