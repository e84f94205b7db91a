import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readMetricsText } from '../support/metrics-text.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

const runs = await openTinyRuns(42); // 101 training images: 5 steps an epoch, the last one of 21
const { data } = runs;
let uninterruptedDigest: string | null;

beforeAll(async () => {
  const { code, stderr } = await runCoordinator(
    runs.start('straight', data, '--workers', '2', '--epochs', '4'),
  );
  expect(code, stderr).toBe(0);
  uninterruptedDigest = readSummaryFile(runs.run('straight')).parameterDigest;
});

/** Goes on with a run and expects it to end where the uninterrupted one did. */
async function resumeToTheSameEnd(name: string, ...more: string[]): Promise<void> {
  const { code, stderr } = await runCoordinator(runs.resume(name, ...more));
  expect(code, stderr).toBe(0);
  expect(readSummaryFile(runs.run(name))).toMatchObject({
    status: 'completed',
    steps: 20,
    parameterDigest: uninterruptedDigest,
  });
  await expectVerified(name);
}

async function expectVerified(name: string): Promise<void> {
  const verified = await runCoordinator(['verify-run', runs.run(name)]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
}

describe('a run that is interrupted', () => {
  it('ends at the same weights though it is killed in an epoch, resumed, stopped by Ctrl-C and resumed', async () => {
    const often = ['--workers', '2', '--epochs', '4', '--checkpoint-steps', '3'];
    const coordinator = startCoordinator(runs.start('killed', data, ...often));
    await coordinator.event(({ kind, name }) => kind === 'checkpoint' && name === 'step-000003');
    const processes = descendantsOf(coordinator.pid);
    coordinator.kill('SIGKILL');
    await coordinator.exited;
    for (const { pid } of processes) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await expect.poll(() => processes.some(({ pid }) => isAlive(pid))).toBe(false);

    const resumed = startCoordinator(runs.resume('killed'));
    await resumed.event((event) => event.kind === 'step' && event.step === 7);
    const others = descendantsOf(resumed.pid);
    resumed.kill('SIGINT');
    const { code, stderr } = await resumed.exited;
    expect(code, stderr).toBe(130);
    for (const { pid } of others) expect(isAlive(pid)).toBe(false);
    const { status, steps } = readSummaryFile(runs.run('killed'));
    expect(status).toBe('stopped');
    // The step under way is finished, and kept; it may be the last of an epoch.
    expect(steps).toBeGreaterThanOrEqual(8);
    const checkpoint =
      steps % 5 === 0
        ? `epoch-${String(steps / 5 - 1).padStart(4, '0')}`
        : `stopped-${String(steps).padStart(6, '0')}`;
    expect(existsSync(path.join(runs.run('killed'), 'checkpoints', checkpoint))).toBe(true);

    await resumeToTheSameEnd('killed', '--workers', '1');
  });

  it('goes on with workers of certificates when their coordinator is killed, and when it is told to end', async () => {
    const { threads } = JSON.parse(readFileSync(path.join(runs.run('straight'), 'run.json'), 'utf8')).config;
    const [tokenFile, caFile] = [
      path.join(runs.root, 'join-token'),
      path.join(runs.run('far'), 'identity', 'authority.pem'),
    ];
    writeFileSync(tokenFile, `abc123.${'s'.repeat(32)}\n`);
    // The same line each time, as a supervisor types it.
    const line = runs.start(
      'far',
      data,
      ...['--workers', '2', '--local-workers', '0', '--epochs', '4'],
      '--supervised',
      ...['--listen', '0.0.0.0:0', '--threads', String(threads), '--join-token-file', tokenFile],
      ...['--health', '127.0.0.1:0'],
    );
    const first = startCoordinator(line);
    const { address } = await first.event(({ kind }) => kind === 'waiting');
    const place = `127.0.0.1:${String(address).split(':').at(-1)}`;
    const guests = ['one', 'two'].map((id) =>
      joinWorker(place, {
        inputs: [
          ...['--token-file', tokenFile, '--ca-file', caFile, '--id', id, '--health', '127.0.0.1:0'],
          ...['--listen', '0.0.0.0:0'],
        ],
      }),
    );
    await first.event((event) => event.kind === 'step' && event.step === 1);
    // Peers are told the address that each reached the coordinator from.
    const record = JSON.parse(readFileSync(path.join(runs.run('far'), 'coordinator.json'), 'utf8'));
    for (const { address } of record.begun.places) expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    const served = /serves .* at (http:\S+)/;
    const note = await first.event(({ kind, text }) => kind === 'note' && served.test(String(text)));
    const guestSays = await guests[0]!.printed(served);
    for (const [base, labels] of [
      [served.exec(String(note.text))![1]!, ''],
      [guestSays[1]!, '{worker="one"}'],
    ] as const) {
      const answers = await Promise.all(['/healthz', '/readyz'].map((page) => fetch(base + page)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      const read = readMetricsText(await (await fetch(`${base}/metrics`)).text());
      const figures = ['generation', 'world_size', 'step', 'steps_total', 'samples_total', 'loss'].map(
        (name) => read(name + labels),
      );
      expect(figures.slice(0, 2)).toEqual([1, 2]);
      for (const figure of figures) expect(figure).toBeGreaterThan(0);
      expect(read(`step_seconds_count${labels}`)).toBe(read(`steps_total${labels}`));
    }
    first.kill('SIGKILL');
    const { stdout } = await first.exited;
    expect(stdout).not.toContain('ssss');
    const second = startCoordinator(line);
    expect(await second.event((event) => event.kind === 'recovered')).toMatchObject({
      ...{ causes: [{ kind: 'restart' }], generation: 1, stepsRedone: 0 },
    });
    await second.event(({ kind }) => kind === 'step');
    second.kill('SIGTERM');
    expect((await second.exited).code).toBe(143);
    const third = startCoordinator(line);
    expect(await third.event((event) => event.kind === 'recovered')).toMatchObject({
      ...{ causes: [{ kind: 'restart' }], generation: 1, stepsRedone: 0 },
    });
    const { code, stderr } = await third.exited;
    expect(code, stderr).toBe(0);
    for (const guest of guests) expect(await guest.exited).toMatchObject({ code: 0 });
    expect(readSummaryFile(runs.run('far'))).toMatchObject({
      ...{ status: 'completed', steps: 20, recoveries: 1, parameterDigest: uninterruptedDigest },
    });
    await expectVerified('far');
  });

  it('ends at once on a second Ctrl-C, without an orphan', async () => {
    const coordinator = startCoordinator(runs.start('impatient', data, '--workers', '1', '--epochs', '4'));
    await coordinator.event((event) => event.kind === 'assigned');
    const processes = descendantsOf(coordinator.pid);
    coordinator.kill('SIGINT');
    await new Promise((resolve) => setTimeout(resolve, 500));
    coordinator.kill('SIGINT');
    expect((await coordinator.exited).code).toBe(130);
    await expect.poll(() => processes.some(({ pid }) => isAlive(pid)), { timeout: 5000 }).toBe(false);
  });
});
