import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { type JsonEvent, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { readCommittedSteps, readSummaryFile } from '../support/run-files.js';
import { openTinyRuns } from '../support/tiny-runs.js';
import { joinWorker, type WorkerExit } from '../support/worker-process.js';

const timeoutMs = 900_000;
const runs = await openTinyRuns(22); // 53 training images: 3 steps an epoch, the last one of 13
const { data } = runs;

beforeAll(async () => {
  const { code, stderr } = await runCoordinator(
    runs.start('base', data, '--workers', '1', '--epochs', '1', '--threads', '1'),
  );
  expect(code, stderr).toBe(0);
});

/**
 * Steps of five micro-batches, and of three at the end of an epoch, which few worlds divide; two phases, whose
 * first steps know nothing of their gradients' size; and everything on that draws, mixes, clips or averages.
 */
const recipe = [
  ...['--from', path.join(runs.run('base'), 'checkpoints', 'epoch-0000'), '--freeze-epochs', '1'],
  ...['--epochs', '1', '--lr', '1e-3', '--unfreeze-lr', '1e-3', '--augment', 'fastai'],
  ...['--mixup', '0.4', '--clip-norm', '1', '--ema', '0.9', '--threads', '1'],
];

interface Trained {
  /** SHA-256 of the state at the end of each epoch: weights, statistics, moments, averages. */
  readonly states: readonly string[];
  readonly losses: readonly (number | null)[];
  readonly samples: readonly number[][];
  readonly errors: readonly unknown[];
}

/** What a run came to; `workers` says with whom, and may bring some. */
async function train(
  name: string,
  workers: readonly string[],
  choice: readonly string[] = [],
  bring: (waiting: JsonEvent) => void = () => {},
): Promise<Trained> {
  const coordinator = startCoordinator(runs.start(name, data, ...workers, ...recipe, ...choice));
  bring(await coordinator.event(({ kind }) => kind === 'waiting'));
  const { code, stderr } = await coordinator.exited;
  expect(code, stderr).toBe(0);
  const run = runs.run(name);
  const steps = readCommittedSteps(run);
  expect(steps.map(({ skipped }) => skipped)).toEqual(Array(6).fill(false));
  return {
    states: [0, 1].map((epoch) => {
      const file = path.join(run, 'checkpoints', `epoch-000${epoch}`, 'checkpoint.json');
      return (JSON.parse(readFileSync(file, 'utf8')) as { stateDigest: string }).stateDigest;
    }),
    losses: steps.map(({ loss }) => loss),
    samples: steps.map(({ shares }) => shares.flat()),
    errors: readSummaryFile(run).epochs.map(({ valid_loss, error_rate }) => [valid_loss, error_rate]),
  };
}

/** A namespace of its own for mounts, and so for shared memory: as another machine has. */
const elsewhere = ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', 'sh'];
const canBeElsewhere = spawnSync('unshare', [...elsewhere, 'true']).status === 0;

/** Four workers, of which two share memory with each other alone: their neighbours reach them over gRPC. */
async function trainApart(choice: readonly string[]): Promise<Trained> {
  const workers = ['--workers', '4', '--local-workers', '2'];
  const ended: Promise<WorkerExit>[] = [];
  const both = '"$@" --id guest-1 & "$@" --id guest-2; wait';
  const trained = await train('apart', workers, choice, (waiting) => {
    const { exited } = joinWorker(waiting, {
      wrap: (command) => ['unshare', ...elsewhere, 'sh', '-c', both, 'sh', ...command],
      // The run's own number of threads counts.
      environment: { TF_NUM_INTRAOP_THREADS: '2', OMP_NUM_THREADS: '2' },
    });
    ended.push(exited);
  });
  expect(await Promise.all(ended)).toMatchObject([{ code: 0 }]);
  return trained;
}

it.each(['float32', 'bfloat16'])(
  'one, two, three and four workers train to the same state, bit for bit, wherever they are (%s)',
  async (wire) => {
    // On one wire each: all of one to four, which share memory, and four of which only two pairs do.
    const apart = wire === 'bfloat16' && canBeElsewhere;
    const choice = ['--wire', wire];
    const trained: Trained[] = [];
    for (const world of wire === 'float32' ? [1, 2, 3, 4] : apart ? [1, 3] : [1, 3, 4]) {
      trained.push(await train(`${wire}-${world}`, ['--workers', `${world}`], choice));
    }
    if (apart) trained.push(await trainApart(choice));
    for (const other of trained.slice(1)) expect(other).toEqual(trained[0]);
    expect(new Set(trained[0]!.states).size).toBe(2);
  },
  timeoutMs,
);
