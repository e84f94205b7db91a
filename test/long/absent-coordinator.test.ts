import { expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(50);
const { data } = runs;
/** Of twelve steps; longer than the coordinator is away. */
const recipe = ['--workers', '2', '--epochs', '36', '--size', '64', '--batch-size', '10', '--threads', '1'];
const [steps, awayMs] = [432, 60_000];
/** In a minute, on a machine that has other work. */
const leastSteps = 20;

it('trains on for the minute in which it has no coordinator, and no step is lost', async () => {
  const first = startCoordinator(runs.start('left', data, ...recipe));
  await first.event(({ kind, step }) => kind === 'step' && step === 15);
  const processes = descendantsOf(first.pid);
  const workers = processes.filter(({ command }) => command.includes('worker/main.js join'));
  const server = processes.find(({ command }) => command.includes('nats-server --config'));
  expect(workers).toHaveLength(2);
  first.kill('SIGKILL');
  const { events: before } = await first.exited;
  const undisturbed = runCoordinator(runs.start('undisturbed', data, ...recipe));
  const told = before.filter(({ kind }) => kind === 'step').length;
  await new Promise((resolve) => setTimeout(resolve, awayMs));
  for (const { pid } of [...workers, server!]) expect(isAlive(pid)).toBe(true);

  const second = startCoordinator(runs.resume('left'));
  const recovered = await second.event(({ kind }) => kind === 'recovered');
  expect(recovered).toMatchObject({ causes: [{ kind: 'restart' }], generation: 1, stepsRedone: 0 });
  for (const { pid } of [...workers, server!]) expect(isAlive(pid)).toBe(true);
  // What it hears first is what was done meanwhile, and the workers go on while it is told.
  const status = await runCoordinator(['status', runs.run('left'), '--json']);
  const { steps: taken } = JSON.parse(status.stdout) as { steps: number };
  expect(taken - told).toBeGreaterThan(leastSteps);

  // One that was taken over leaves in order: it is not started again.
  const leaver = workers.find(({ command }) => command.includes('--id worker-1'))!;
  process.kill(leaver.pid, 'SIGTERM');
  const left = await second.event(({ kind, worldSize }) => kind === 'recovered' && worldSize === 1);
  expect(left).toMatchObject({ causes: [{ kind: 'leave', workerId: 'worker-1' }], stepsRedone: 0 });

  const { code, events, stderr } = await second.exited;
  expect(code, stderr).toBe(0);
  expect(events.filter(({ text }) => String(text).includes('started again'))).toEqual([]);
  const own = events.flatMap(({ kind, step }) => (kind === 'step' ? [Number(step)] : []));
  expect([told, told + 1]).toContain(own[0]);
  expect(own).toEqual(Array.from({ length: steps - own[0]! }, (_, index) => own[0]! + index));
  const { code: otherCode, stderr: otherErrors } = await undisturbed;
  expect(otherCode, otherErrors).toBe(0);
  const { parameterDigest } = readSummaryFile(runs.run('undisturbed'));
  expect(readSummaryFile(runs.run('left'))).toMatchObject({ status: 'completed', steps, parameterDigest });
  const verified = await runCoordinator(['verify-run', runs.run('left')]);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  for (const { pid } of processes) expect(isAlive(pid)).toBe(false);
});
