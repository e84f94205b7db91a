import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { workerNodeArguments } from '../../coordinator/launch/worker-environment.js';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openQuickRuns } from '../support/quick-run.js';
import { drawTinyFolder } from '../support/tiny-folder.js';

interface Cause {
  readonly kind: string;
  readonly workerId: string;
}

const program = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));
const runs = openQuickRuns();
let data: string;
let guest: ChildProcess | undefined;

beforeAll(async () => {
  data = await drawTinyFolder(50);
});
afterEach(async () => {
  guest?.kill('SIGKILL');
  await killCoordinators();
});
afterAll(() => {
  runs.remove();
  rmSync(data, { recursive: true, force: true });
});

it('a worker joins a run of one, is stopped for a while, joins anew, and leaves', async () => {
  // It is stopped when all has been seen, long before its last epoch.
  const endless = ['--workers', '1', '--max-workers', '2', '--epochs', '500'];
  const coordinator = startCoordinator(runs.start('open', data, ...endless));
  const { address, tokenFile } = await coordinator.event(({ kind }) => kind === 'waiting');
  await coordinator.event(({ kind }) => kind === 'step');
  const inputs = [
    'join',
    '--coordinator',
    String(address),
    '--token-file',
    String(tokenFile),
    '--id',
    'guest',
  ];
  guest = spawn(process.execPath, [...workerNodeArguments, program, ...inputs], { stdio: 'ignore' });
  const exited = new Promise<number | null>((resolve) => guest!.once('exit', resolve));

  /** The n-th change that the guest caused in this way. */
  const changed = (how: string, times = 1) => {
    const seen = new Set<unknown>();
    return coordinator.event((event) => {
      if (event.kind !== 'recovered') return false;
      const causes = event.causes as readonly Cause[];
      if (!causes.some(({ kind, workerId }) => kind === how && workerId === 'guest')) return false;
      return seen.add(event.generation).size === times;
    });
  };
  expect(await changed('join')).toMatchObject({
    worldSize: 2,
    copies: [{ to: 'guest', from: 'worker-0', bytes: expect.any(Number) }],
  });

  guest.kill('SIGSTOP');
  await changed('loss');
  guest.kill('SIGCONT');
  await changed('join', 2);

  guest.kill('SIGTERM');
  expect(await changed('leave')).toMatchObject({ worldSize: 1 });
  expect(await exited).toBe(0);

  coordinator.kill('SIGINT');
  const { code, events, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(130);
  for (const { causes, stepsRedone } of events.filter(({ kind }) => kind === 'recovered')) {
    // Only a loss cuts a step off.
    const isCut = (causes as readonly Cause[]).some(({ kind }) => kind === 'loss' || kind === 'complaint');
    expect(stepsRedone).toBeLessThanOrEqual(isCut ? 1 : 0);
  }
  const verified = await runCoordinator(['verify-run', runs.run('open')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  expect(verified.stdout).toMatch(/world size (1, 2|2, 1)/);
});
