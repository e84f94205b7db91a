import { expect, it } from 'vitest';
import {
  type BatchLoader,
  type BatchRequest,
  type LoadedBatch,
  openBatches,
} from '../../../worker/training/batches.js';
import { evaluateShare, evaluationRequests, nothingEvaluated } from '../../../worker/training/evaluate.js';
import { createFakeCompute } from '../../support/fake-compute.js';
import { runConfig } from '../../support/run-config.js';

const signal = new AbortController().signal;
const classes = ['a', 'b', 'c'];

/**
 * Tells the network which view it is shown: in the first number of each transform. Labels are 2, 1, 0, 2 …
 */
function viewLoader(requested: BatchRequest[], released: number[]): BatchLoader {
  return {
    async *load(requests) {
      for (const request of requests) {
        requested.push(request);
        const { ids, view = 0 } = request;
        const transforms = new Float32Array(8 * ids.length).fill(view);
        const labels = Int32Array.from(ids, (id) => 2 - (id % 3));
        const empty = { pixels: new Uint8Array(), lighting: new Float32Array() };
        yield { ids, labels, transforms, ...empty, release: () => released.push(view) } satisfies LoadedBatch;
      }
    },
  };
}

const asPlanned = () => ({ evaluated: nothingEvaluated(), startStep: 0, startEvaluation: null });

/** What the network answers in a view: of three classes, the same for each image. */
const answerOf = (view: number) => (view === 0 ? [0.5, 0.3, 0.2] : [0.1 + view / 100, 0.2, 0.7 - view / 100]);

const predict = async ({ transforms }: { transforms: Float32Array }) =>
  Float32Array.from(Array.from({ length: transforms.length / 8 }, () => answerOf(transforms[0]!)).flat());

it('judges the blend of all views where the task asks for it, on every rank its share', async () => {
  const criterion = { labelSmoothing: 0.1, classWeights: [1, 2, 4] };
  const task = { kind: 'evaluate', tta: true } as const;
  const config = runConfig({ task, classes, validCount: 70, ...criterion });
  const compute = { ...createFakeCompute(), predict };
  const blend = [0, 1, 2].map((k) => {
    const others = [1, 2, 3, 4, 5, 6, 7, 8].map((view) => answerOf(view)[k]!);
    return 0.4 * answerOf(0)[k]! + 0.6 * (others.reduce((sum, value) => sum + value, 0) / 8);
  });
  const ids: number[] = [];
  for (const rank of [0, 1]) {
    const [requested, released]: [BatchRequest[], number[]] = [[], []];
    const judged: number[] = [];
    const onEvaluated = (images: number) => judged.push(images);
    const place = { rank, worldSize: 2, ...asPlanned(), onEvaluated };
    const batches = openBatches(viewLoader(requested, released), evaluationRequests(config, 3, place), {
      held: 1,
      signal,
    });
    const share = await evaluateShare(config, 3, place, compute, batches);
    expect(requested.map(({ view }) => view)).toEqual(requested.map((_, index) => index % 9));
    expect(released).toEqual(requested.map(({ view }) => view));
    expect(judged.at(-1)).toBe(share.sampleIds.length);
    share.sampleIds.forEach((id, index) => {
      const label = 2 - (id % 3);
      expect(share.probabilities[index]).toBeCloseTo(blend[label]!, 6);
      // PyTorch's cross-entropy with weights and label smoothing, term by term.
      const terms = blend.map((p, k) => -Math.log(p) * criterion.classWeights[k]!);
      const loss = 0.9 * terms[label]! + (0.1 / 3) * terms.reduce((sum, term) => sum + term, 0);
      expect(share.losses[index]).toBeCloseTo(loss, 5);
      expect(share.predictions[index]).toBe(2);
      expect(share.labelRanks[index]).toBe([1, 2, 0][label]);
    });
    ids.push(...share.sampleIds);
  }
  expect(ids).toEqual(Array.from({ length: 70 }, (_, id) => id));
});

it('asks for the middle of each image alone where it does not', async () => {
  for (const task of [{ kind: 'train' }, { kind: 'evaluate' }] as const) {
    const requested: BatchRequest[] = [];
    const config = runConfig({ task, classes, validCount: 70 });
    const place = { rank: 0, worldSize: 1, ...asPlanned(), onEvaluated: () => {} };
    const batches = openBatches(viewLoader(requested, []), evaluationRequests(config, 3, place), {
      held: 1,
      signal,
    });
    await evaluateShare(config, 3, place, createFakeCompute(), batches);
    expect(requested.every(({ view, epoch }) => view === 0 && epoch === null)).toBe(true);
    expect(requested).toHaveLength(config.validCount / config.microBatch);
  }
});

it('evaluates what was not evaluated in the same state, when it is done again by others', async () => {
  const config = runConfig({ classes, validCount: 70 });
  const compute = createFakeCompute();
  const evaluated = nothingEvaluated();
  /** Its share after so many steps, and the first images of the batches that it read for that. */
  const evaluate = async (
    step: number,
    rank: number,
    worldSize: number,
    most = Infinity,
    startEvaluation: number[] | null = null,
  ) => {
    const requested: BatchRequest[] = [];
    const place = { rank, worldSize, evaluated, startStep: 6, startEvaluation, onEvaluated: () => {} };
    const batches = openBatches(viewLoader(requested, []), evaluationRequests(config, step, place), {
      ...{ held: 1, signal },
    });
    let count = 0;
    const cut = {
      ...compute,
      evaluate: (batch: Parameters<typeof compute.evaluate>[0]) => {
        if (count === most) return Promise.reject(new Error('cut off'));
        count += 1;
        return compute.evaluate(batch);
      },
    };
    const share = await evaluateShare(config, step, place, cut, batches).catch(() => null);
    await batches.close();
    return { share, read: requested.map(({ ids }) => ids[0]! / config.microBatch), count };
  };
  const idsOf = (batch: number) =>
    Array.from({ length: config.microBatch }, (_, index) => batch * config.microBatch + index);
  const batchCount = Math.ceil(config.validCount / config.microBatch);
  const { share: whole } = await evaluate(3, 0, 1);
  expect((await evaluate(3, 0, 1)).count).toBe(0);
  // In another state nothing counts.
  expect((await evaluate(6, 0, 2, 2)).count).toBe(2);
  const again = await evaluate(6, 0, 1);
  expect(again.read).toEqual(Array.from({ length: batchCount - 2 }, (_, index) => index + 2));
  expect(again.count).toBe(batchCount - 2);
  expect(again.share).toEqual(whole);
  // What it is assigned of this evaluation is all that it answers with, and of no other one.
  const assigned = await evaluate(6, 0, 2, Infinity, [0, 3]);
  expect(assigned.count).toBe(0);
  expect([...assigned.share!.sampleIds]).toEqual([0, 3].flatMap(idsOf));
  const next = await evaluate(9, 1, 2, Infinity, [0, 3]);
  expect(next.share!.sampleIds[0]).toBe(Math.ceil(batchCount / 2) * config.microBatch);
});

it('names the samples of sets of any size', async () => {
  const beyondFloats = 2 ** 24;
  const config = runConfig({ classes, validCount: beyondFloats + 64, microBatch: 64 });
  const place = {
    ...{ rank: 0, worldSize: 1, evaluated: nothingEvaluated(), startStep: 3, onEvaluated: () => {} },
    startEvaluation: [beyondFloats / 64],
  };
  const batches = openBatches(viewLoader([], []), evaluationRequests(config, 3, place), { held: 1, signal });
  const { sampleIds } = await evaluateShare(config, 3, place, createFakeCompute(), batches);
  expect([...sampleIds]).toEqual(Array.from({ length: 64 }, (_, index) => beyondFloats + index));
});
