import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { descendantsOf, isAlive } from '../../bench/support/processes.js';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openTinyRuns } from '../support/tiny-runs.js';

const runs = await openTinyRuns(50); // 120 training images: 6 steps an epoch
const { data } = runs;
const quick = ['--arch', 'resnet18', '--size', '32', '--batch-size', '20', '--micro-batch', '4', '--json'];

const command = (folder: string, ...more: string[]) => [
  ...['chaos', '--data', data, '--workers', '2', '--keep', folder, ...quick, ...more],
];

it('a run that is killed, cut off, scaled, left and whose coordinator dies ends as the one that nobody touched', async () => {
  const folder = path.join(runs.root, 'trial');
  const kinds = 'kill,partition,leave,scale,coordinator';
  const { code, events, stdout, stderr } = await runCoordinator(
    command(folder, '--epochs', '5', '--faults', '5', '--kinds', kinds),
  );
  expect(code, stdout + stderr).toBe(0);
  const result = events.find(({ kind }) => kind === 'chaos')!;
  expect(result).toMatchObject({ ok: true, equal: true, processesLeft: [], sharedFilesLeft: [], folder });
  expect(result.disturbed).toMatchObject({ steps: 30, samples: 600, ledgerDifference: null });
  const { undisturbed, disturbed } = result as Record<string, Record<string, unknown>>;
  expect(disturbed!.stateDigest).toBe(undisturbed!.stateDigest);
  const happened = events.filter(({ kind }) => kind === 'fault' || kind === 'left-out');
  expect(happened.map(({ fault }) => fault).sort()).toEqual([
    'coordinator',
    'kill',
    'leave',
    'partition',
    'scale',
  ]);
  expect(readdirSync(folder).sort()).toEqual(['disturbed', 'undisturbed']);
  expect((await runCoordinator(['verify-run', path.join(folder, 'disturbed')])).code).toBe(0);
});

it('leaves nothing running when it is told to end', async () => {
  const folder = path.join(runs.root, 'broken-off');
  const trial = startCoordinator(command(folder, '--epochs', '50'));
  await trial.event(({ kind }) => kind === 'progress');
  const processes = descendantsOf(trial.pid);
  expect(processes.length).toBeGreaterThanOrEqual(3);
  trial.kill('SIGINT');
  const { code, events } = await trial.exited;
  expect(code).toBe(130);
  expect(events.at(-1)).toMatchObject({ kind: 'error', code: 'cancelled' });
  for (const { pid } of processes) expect(isAlive(pid)).toBe(false);
  expect(existsSync(folder)).toBe(true);
});
