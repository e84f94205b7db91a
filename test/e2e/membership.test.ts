import { expect, it } from 'vitest';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker } from '../support/worker-process.js';

interface Cause {
  readonly kind: string;
  readonly workerId: string;
}

const runs = await openTinyRuns(50);
const { data } = runs;

it('a run is scaled up and down; a worker joins it, is stopped for a while, joins anew, and leaves', async () => {
  // It is stopped when all has been seen, long before its last epoch.
  const command = (name: string, ...more: string[]) =>
    runCoordinator([name, 'open', ...more, '--run-dir', runs.root, '--json']);
  const endless = ['--workers', '1', '--max-workers', '2', '--epochs', '500'];
  const coordinator = startCoordinator(runs.start('open', data, ...endless));
  const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
  await coordinator.event(({ kind }) => kind === 'step');

  const grown = await command('scale', '2');
  expect(grown.code, grown.stderr).toBe(0);
  expect(grown.events).toMatchObject([
    { kind: 'scaling', before: 1, workers: 2, starting: ['worker-1'], stopping: [] },
    { kind: 'scaled', worldSize: 2 },
  ]);
  const { generation, steps } = grown.events[1]!;
  await coordinator.event((event) => event.kind === 'step' && Number(event.step) > Number(steps) + 1);
  const { events: said } = await command('status');
  expect(said).toMatchObject([
    {
      ...{ kind: 'status', phase: 'training', generation, worldSize: 2, totalSteps: 3_000 },
      members: [
        { worker: 'worker-0', rank: 0, local: true, step: { own: expect.any(Number) } },
        { worker: 'worker-1', rank: 1, local: true, step: { cores: expect.any(Number) } },
      ],
    },
  ]);
  const { events: heard } = await command('logs', '--tail', '4');
  expect(heard).toHaveLength(4);
  expect(heard).toContainEqual(expect.objectContaining({ kind: 'step' }));
  const shrunk = await command('scale', '1');
  expect(shrunk.events, shrunk.stderr).toMatchObject([{ stopping: ['worker-1'] }, { worldSize: 1 }]);

  const guest = joinWorker(waiting, { inputs: ['--id', 'guest'] });

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
  // Null: on a machine that is too busy for it to end in time, it kills itself.
  expect([0, 130, null]).toContain((await guest.exited).code);

  coordinator.kill('SIGINT');
  const { code, events, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(130);
  const all = events.flatMap((event) => (event.kind === 'recovered' ? (event.causes as Cause[]) : []));
  expect(all.slice(0, 2)).toEqual([
    { kind: 'join', workerId: 'worker-1' },
    { kind: 'leave', workerId: 'worker-1' },
  ]);
  for (const { causes, stepsRedone } of events.filter(({ kind }) => kind === 'recovered')) {
    // Joining cuts no step off; leaving does on a machine that is too busy for it.
    const isCut = (causes as readonly Cause[]).some(({ kind }) => kind !== 'join');
    expect(stepsRedone).toBeLessThanOrEqual(isCut ? 1 : 0);
  }
  const verified = await runCoordinator(['verify-run', runs.run('open')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  expect(verified.stdout).toMatch(/world size (1, 2|2, 1)/);
  expect(verified.stdout).toMatch(/\n {2}steps? \d+.* generation 2 +2 workers +attempt 1\n/);
  expect(await command('status')).toMatchObject({ code: 3, events: [{ kind: 'error' }] });
});
