import { expect, it } from 'vitest';
import { openEpochWindows } from '../../../plan/epoch-order.js';
import type { RunConfig } from '../../../plan/run-config.js';
import { prefetch } from '../../../worker/data/prefetch.js';
import type { BatchLoader, BatchRequest } from '../../../worker/training/batches.js';
import { nothingEvaluated } from '../../../worker/training/evaluate.js';
import { performTask } from '../../../worker/training/perform-task.js';
import { createSnapshots } from '../../../worker/training/snapshots.js';
import { createFakeCompute, fakeShape } from '../../support/fake-compute.js';
import { createFakeLoader } from '../../support/fake-loader.js';
import { createFakeRings } from '../../support/fake-ring.js';
import { runConfig } from '../../support/run-config.js';
import { stepContext } from '../../support/step-context.js';

const { signal } = new AbortController();
/** Two phases of an epoch, each of three steps of two micro-batches and an evaluation in three batches. */
const phase = { ...runConfig().phases[0]!, epochs: 1 };
const common = {
  ...{ trainCount: 24, batchSize: 8, microBatch: 4, validCount: 12 },
  phases: [phase, { ...phase, name: 'second' }],
};

/** What one rank that is alone asks for and computes, in order. */
async function follow(
  startStep = 0,
  epochEndDue = false,
  changes: Partial<RunConfig> = {},
): Promise<string[]> {
  const config = runConfig({ ...common, ...changes });
  const said: string[] = [];
  const fake = createFakeCompute();
  const compute: typeof fake = {
    ...fake,
    async apply(...asked) {
      const applied = await fake.apply(...asked);
      if (applied.outcome !== 'overflow') said.push('step');
      return applied;
    },
    async evaluate(batch) {
      const evaluated = await fake.evaluate(batch);
      said.push('evaluated');
      return evaluated;
    },
  };
  const handingOut = createFakeLoader();
  const loader: BatchLoader = {
    load: (requests, { depth, signal }) => {
      const prepare = async (request: BatchRequest) => {
        if (request.shards !== undefined) said.push(`expect ${Object.values(request.shards).join(' | ')}`);
        said.push(request.split === 'valid' ? 'read valid' : `read train ${request.epoch}`);
        for await (const batch of handingOut.load([request], { depth: 1, signal })) return batch;
        throw new Error('nothing was handed out');
      };
      return prefetch(requests, prepare, { depth, signal });
    },
  };
  const [ring] = createFakeRings(1);
  const run = performTask({
    ...{ config, rank: 0, worldSize: 1, compute, loader, signal, startStep, epochEndDue },
    startShare: null,
    partitions: null,
    evaluated: nothingEvaluated(),
    startEvaluation: null,
    onEvaluated: () => {},
    epochClosed: async () => {},
    snapshots: createSnapshots(compute, fakeShape.state),
    context: () => stepContext({ config, compute, ring: ring!, vector: fake.vector, signal }),
  });
  for await (const _ of run);
  return said;
}

const count = (said: readonly string[], what: string) => said.filter((line) => line === what).length;

it('reads ahead across an epoch’s end what the evaluation needs, and meanwhile what the next phase’s epoch does', async () => {
  const said = await follow();
  const ends = said.flatMap((line, index) => (line === 'step' ? [index] : []));
  expect(ends).toHaveLength(6);
  const lastStep = said.slice(0, ends[2]);
  expect(count(lastStep, 'read valid')).toBeGreaterThan(0);
  const lastEvaluated = said.lastIndexOf('evaluated', ends[3]);
  const beforeEvaluated = said.slice(0, lastEvaluated);
  // All of the next epoch's first step.
  expect(count(beforeEvaluated, 'read train 1')).toBeGreaterThanOrEqual(2);
  // Everything once, and nothing after the last evaluation.
  for (const [what, times] of [
    ['read train 0', 6],
    ['read train 1', 6],
    ['read valid', 6],
    ['evaluated', 6],
  ] as const) {
    expect(count(said, what), what).toBe(times);
  }
});

it('reads nothing for steps and evaluations that are over where it begins amid a run', async () => {
  const due = await follow(3, true);
  expect(due[0]).toBe('read valid');
  expect([count(due, 'read train 0'), count(due, 'read valid'), count(due, 'evaluated')]).toEqual([0, 6, 6]);
  const notDue = await follow(3, false);
  expect(notDue[0]).toBe('read train 1');
  expect([count(notDue, 'read train 1'), count(notDue, 'read valid')]).toEqual([6, 3]);
});

const expectations = (said: readonly string[]) => said.filter((line) => line.startsWith('expect'));

it('says which shards come after a window, in the next epoch too, and nothing after the last', async () => {
  const order = { kind: 'windows', version: 1, shards: 2, counts: [4, 4, 4, 4, 4, 4] } as const;
  const windows = [0, 1].flatMap(
    (epoch) => openEpochWindows(runConfig({ ...common, order }), epoch)!.placesOf(0)[0]!.windows.shards,
  );
  const lines = (from: number) =>
    [...windows.slice(from + 1), []].map(
      (next, at) => `expect  | ${at === 0 ? windows[from] : ''} | ${next}`,
    );
  expect(expectations(await follow(0, false, { order }))).toEqual(lines(0));
  expect(expectations(await follow(4, false, { order }))).toEqual(lines(4));
  expect(expectations(await follow())).toEqual([]);
});

it('says which shards come in each partition, and which are begun where it starts amid windows', async () => {
  // Each of two partitions has two windows of a shard of six samples, and takes four a step.
  const order = { kind: 'windows', version: 2, shards: 1, counts: [6, 6, 6, 6] } as const;
  const config = runConfig({ ...common, order });
  const [one, two] = [0, 1].map((epoch) => {
    const places = openEpochWindows(config, epoch)!.placesOf(0);
    return places.map(({ windows }) => windows.shards.map(([shard]) => shard!));
  }) as [number[][], number[][]];
  const next = [
    // Of both partitions: the second windows; they begin amid the second step, before the next epoch's first ones.
    [one[0]![1], one[1]![1]],
    [one[0]![1], two[0]![0], one[1]![1], two[1]![0]],
    [two[0]![0], two[1]![0]],
    [two[0]![1], two[1]![1]],
    [],
  ].map((shards) => `${[...new Set(shards)]}`);
  const news = (from: number) => next.slice(from).filter((shards, at, all) => shards !== all[at - 1]);
  const first = [one[0]![0], one[1]![0]];
  const all = expectations(await follow(0, false, { order }));
  expect(all[0]).toBe(`expect  | ${first} | ${next[0]}`);
  expect(all.slice(1)).toEqual(
    news(0)
      .slice(1)
      .map((shards) => `expect  |  | ${shards}`),
  );
  const amid = expectations(await follow(1, false, { order }));
  expect(amid[0]).toBe(`expect ${first} |  | ${next[1]}`);
  expect(amid.slice(1)).toEqual(
    news(1)
      .slice(1)
      .map((shards) => `expect  |  | ${shards}`),
  );
});
