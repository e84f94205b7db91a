import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readCommittedSteps, readMetrics, readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(50); // 120 training images: 6 steps an epoch
const { data } = runs;

describe('coordinator start', () => {
  it('trains on two workers, writes its run directory and leaves no process behind', async () => {
    const coordinator = startCoordinator(
      runs.start('whole', data, '--workers', '2', '--epochs', '2', '--cache-gib', '3'),
      { RONDO_LOG: 'debug' },
    );
    await coordinator.event((event) => event.kind === 'step');
    const processes = descendantsOf(coordinator.pid);
    const commands = processes.map(({ command }) => command);
    expect(commands.filter((command) => command.includes('worker/main.js join'))).toHaveLength(2);
    expect(commands.filter((command) => command.includes('--cache-gib 3'))).toHaveLength(2);
    expect(commands.filter((command) => command.includes('nats-server --config'))).toHaveLength(1);

    const { code, events, stderr } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    for (const { pid } of processes) expect(isAlive(pid)).toBe(false);

    const run = runs.run('whole');
    const summary = readSummaryFile(run);
    expect(summary).toMatchObject({
      status: 'completed',
      runId: 'whole',
      arch: 'resnet18',
      classes: ['blue', 'green', 'red'],
      counts: { train: 120, valid: 30, quarantined: 0 },
      worldSize: 2,
      steps: 12,
      quarantined: [],
      recoveries: 0,
      metrics: { dropped: 0 },
    });
    expect(summary.epochs.map(({ epoch }) => epoch)).toEqual([0, 1]);
    expect(summary.epochs[1].train_loss).toBeLessThan(summary.epochs[0].train_loss!);
    expect(summary.parameterDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(events.at(-1)).toMatchObject({ kind: 'summary', status: 'completed' });

    const logged = stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged.at(-1)).toMatchObject({ program: 'coordinator', run: 'whole', event: 'summary' });
    for (const worker of ['worker-0', 'worker-1']) {
      const lines = readFileSync(path.join(run, 'logs', `${worker}.log`), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('{"level"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(lines.every((line) => line.program === 'worker' && line.worker === worker)).toBe(true);
      const events = lines.map(({ event }) => event);
      expect(events.slice(0, 3)).toEqual(['register', 'welcome', 'standby']);
      expect(events.at(-1)).toBe('goodbye');
      const committed = lines.filter(({ event }) => event === 'stepCommitted');
      expect(committed.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, step) => step));
      for (const line of committed) {
        expect(line).toMatchObject({ level: 'debug', run: 'whole', rank: expect.any(Number), generation: 1 });
      }
    }

    const steps = readMetrics(run, 'step');
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, step) => step));
    for (const step of steps) {
      expect(step).toMatchObject({ samples: 20, epoch: Math.floor((step.step as number) / 6) });
      expect(step.learningRates).toHaveLength(3);
      expect(step.loss).toBeGreaterThan(0);
      expect(step.momentum).toBeGreaterThan(0.84);
    }
    expect(readMetrics(run, 'worker-step')).toHaveLength(24);
    expect(readMetrics(run, 'epoch')).toHaveLength(2);
    expect(summary.metrics.published).toBe(12 + 24);
    for (const { step, loss } of readCommittedSteps(run)) expect(steps[step].loss).toBe(loss);

    for (const name of ['epoch-0000', 'epoch-0001']) {
      expect(existsSync(path.join(run, 'checkpoints', name, 'state.safetensors'))).toBe(true);
    }
    const record = JSON.parse(readFileSync(path.join(run, 'run.json'), 'utf8'));
    expect(record).toMatchObject({ runId: 'whole', config: { arch: 'resnet18', batchSize: 20 } });

    const verified = await runCoordinator(['verify-run', run, '--json']);
    expect(verified.code, verified.stdout).toBe(0);
  });

  it('goes on when NATS dies, and says what was dropped', async () => {
    const coordinator = startCoordinator(runs.start('without-nats', data, '--workers', '2', '--epochs', '2'));
    await coordinator.event((event) => event.kind === 'step' && event.step === 1);
    const nats = descendantsOf(coordinator.pid).find(({ command }) => command.includes('nats-server'))!;
    process.kill(nats.pid, 'SIGKILL');
    const { code, stderr } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    const summary = readSummaryFile(runs.run('without-nats'));
    expect(summary).toMatchObject({ status: 'completed', steps: 12 });
    expect(summary.metrics.dropped).toBeGreaterThan(0);
    expect(summary.metrics.published + summary.metrics.dropped).toBe(12 + 24);
    expect((await runCoordinator(['verify-run', runs.run('without-nats')])).code).toBe(0);
  });
});
