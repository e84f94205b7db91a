import path from 'node:path';
import { beforeAll, expect } from 'vitest';
import { type JsonEvent, type Place, runCoordinator, startCoordinator } from './coordinator-process.js';
import { readCommittedSteps, readStateDigest, readSummaryFile } from './run-files.js';
import { openTinyRuns } from './tiny-runs.js';

/** What a run came to. */
export interface Trained {
  /** SHA-256 of the state at the end of each epoch: weights, statistics, moments, averages. */
  readonly states: readonly string[];
  readonly losses: readonly (number | null)[];
  readonly samples: readonly number[][];
  readonly errors: readonly unknown[];
}

interface Choice {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly place?: Place;
  /** Has others join. */
  bring?(waiting: JsonEvent): void;
}

export interface AlikeRuns {
  train(choice: Choice): Promise<Trained>;
  /** One after the other, with so many workers of this machine each. */
  trainWorlds(wire: string, worlds: readonly number[]): Promise<Trained[]>;
}

/** Runs of a test file that differ in who computes, and in nothing else. */
export async function openAlikeRuns(): Promise<AlikeRuns> {
  const runs = await openTinyRuns(22); // 53 training images: 3 steps an epoch, the last one of 13
  beforeAll(async () => {
    const alone = ['--workers', '1', '--epochs', '1', '--threads', '1'];
    const { code, stderr } = await runCoordinator(runs.start('base', runs.data, ...alone));
    expect(code, stderr).toBe(0);
  });
  const checkpoint = (name: string, epoch: number) =>
    path.join(runs.run(name), 'checkpoints', `epoch-000${epoch}`);
  /**
   * Steps of five micro-batches, and of three at the end of an epoch, which few worlds divide; two phases, whose
   * first steps know nothing of their gradients' size; and everything on that draws, mixes, clips or averages.
   */
  const recipe = [
    ...['--from', checkpoint('base', 0), '--freeze-epochs', '1', '--epochs', '1'],
    ...['--lr', '1e-3', '--unfreeze-lr', '1e-3', '--augment', 'fastai'],
    ...['--mixup', '0.4', '--clip-norm', '1', '--ema', '0.9', '--threads', '1'],
  ];

  const train: AlikeRuns['train'] = async ({ name, inputs, place = {}, bring }) => {
    const coordinator = startCoordinator(runs.start(name, runs.data, ...recipe, ...inputs), {}, place);
    bring?.(await coordinator.event(({ kind }) => kind === 'waiting'));
    const { code, stderr } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    const steps = readCommittedSteps(runs.run(name));
    expect(steps.map(({ skipped }) => skipped)).toEqual(Array(6).fill(false));
    const states = [0, 1].map((epoch) => readStateDigest(checkpoint(name, epoch)));
    expect(new Set(states).size).toBe(2);
    return {
      states,
      losses: steps.map(({ loss }) => loss),
      samples: steps.map(({ shares }) => shares.flat()),
      errors: readSummaryFile(runs.run(name)).epochs.map(({ valid_loss, error_rate }) => [
        valid_loss,
        error_rate,
      ]),
    };
  };
  return {
    train,
    async trainWorlds(wire, worlds) {
      const trained: Trained[] = [];
      for (const world of worlds) {
        const inputs = ['--wire', wire, '--workers', `${world}`];
        trained.push(await train({ name: `${wire}-${world}`, inputs }));
      }
      return trained;
    },
  };
}

/** To the bit, whoever computed. */
export function expectAlike([first, ...others]: readonly Trained[]): void {
  for (const other of others) expect(other).toEqual(first);
}
