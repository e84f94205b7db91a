import { describe, expect, test } from 'vitest';
import { buildMixing } from '../../../worker/model/mixing.js';
import { buildTrainingLoss } from '../../../worker/model/training-loss.js';
import { gradients } from '../../../worker/tensorflow/gradients/gradients.js';
import { Graph, type Tensor } from '../../../worker/tensorflow/graph.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { openSession } from '../../../worker/tensorflow/session.js';

const classes = 3;
const labels = [2, 0, 1, 1];
const classWeights = [0.5, 2, 1.25];
const partners = [2, 3, 1, 0];
const shares = [0.75, 0.9, 0.5, 0.6];
const logits = labels.flatMap((_, i) => [0, 1, 2].map((j) => ((i * 7 + j * 5) % 11) / 4 - 1));

interface Recipe {
  readonly labelSmoothing?: number;
  readonly classWeights?: readonly number[] | null;
  readonly mixes?: boolean;
}

/** Mean loss and its gradient by the graph; `divisor` is what the sums were divided by. */
function byGraph({ labelSmoothing = 0, classWeights = null, mixes = false }: Recipe) {
  const graph = new Graph();
  const fed = placeholder(graph, 'logits', 'float32', [null, classes]);
  const mixing = mixes ? buildMixing(graph) : null;
  const fedLabels = placeholder(graph, 'labels', 'int32', [null]);
  const { lossSum, weight } = buildTrainingLoss(
    fed,
    fedLabels,
    { classes, labelSmoothing, classWeights },
    mixing,
  );
  const [gradient] = gradients(lossSum, [fed]) as Tensor<'float32'>[];
  const session = openSession(graph);
  const mixed = { shares: Float32Array.from(shares), partners: Int32Array.from(partners) };
  const feeds = {
    logits: Float32Array.from(logits),
    labels: Int32Array.from(labels),
    ...(mixes ? mixed : {}),
  };
  const found = session.run(feeds, { lossSum, gradient: gradient!, weight: weight ?? lossSum });
  session.close();
  const divisor = weight === null ? labels.length : found.weight[0]!;
  return {
    loss: found.lossSum[0]! / divisor,
    gradient: [...found.gradient].map((g) => g / divisor),
    divisor,
  };
}

/** The definition, term by term, in float64. */
function byDefinition(
  { labelSmoothing = 0, classWeights = null, mixes = false }: Recipe,
  z = logits,
): number {
  const w = classWeights ?? [1, 1, 1];
  let [total, weight] = [0, 0];
  labels.forEach((label, sample) => {
    const row = z.slice(classes * sample, classes * (sample + 1));
    const log = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    const entropyOf = (k: number) => log - row[k]!;
    const lossOf = (k: number) => {
      const spread = row.reduce((sum, _, c) => sum + w[c]! * entropyOf(c), 0);
      return (1 - labelSmoothing) * w[k]! * entropyOf(k) + (labelSmoothing / classes) * spread;
    };
    const share = mixes ? shares[sample]! : 1;
    const other = labels[partners[sample]!]!;
    total += share * lossOf(label) + (1 - share) * lossOf(other);
    weight += share * w[label]! + (1 - share) * w[other]!;
  });
  return total / weight;
}

const recipes: [name: string, recipe: Recipe][] = [
  ['plain', {}],
  ['smoothed', { labelSmoothing: 0.1 }],
  ['weighted', { classWeights }],
  ['smoothed and weighted', { labelSmoothing: 0.1, classWeights }],
  ['mixed', { mixes: true }],
  ['smoothed, weighted and mixed', { labelSmoothing: 0.1, classWeights, mixes: true }],
];

describe.each(recipes)('the %s loss', (_, recipe) => {
  const found = byGraph(recipe);

  test('is what its definition says', () => {
    expect(found.loss).toBeCloseTo(byDefinition(recipe), 6);
  });

  test('has the gradient of central differences', () => {
    found.gradient.forEach((gradient, index) => {
      const moved = (by: number) =>
        byDefinition(
          recipe,
          logits.map((value, k) => (k === index ? value + by : value)),
        );
      expect(gradient).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 6);
    });
  });
});

// torch.nn.functional.cross_entropy(weight=…, label_smoothing=.1), PyTorch 2.13, float64; the mixed one from
// two of them with reduction='none'. Loss, then the first two elements of the gradient.
test.each([
  ['smoothed', { labelSmoothing: 0.1 }, [0.9493016101873789, 0.006661115495445234, 0.044002435537215896]],
  ['weighted', { classWeights }, [1.0349986587350521, 0.013038651155459623, 0.0455093642352602]],
  [
    'both',
    { labelSmoothing: 0.1, classWeights },
    [1.0520902372256669, 0.010140100430821943, 0.03391516133670948],
  ],
  ['mixed', { mixes: true }, [1.0503432768540457, 0.014994448828778567, -0.010164231129450772]],
  [
    'all of it',
    { labelSmoothing: 0.1, classWeights, mixes: true },
    [1.1666508042602082, 0.013583489912982971, -0.043605196690084336],
  ],
] as [string, Recipe, number[]][])('%s agrees with PyTorch', (_, recipe, [loss, ...gradient]) => {
  const found = byGraph(recipe);
  expect(found.loss).toBeCloseTo(loss!, 6);
  gradient.forEach((value, index) => {
    expect(found.gradient[index]).toBeCloseTo(value, 6);
  });
});

test('the mean divides by the weights of the labels, mixed as the labels are', () => {
  expect(byGraph({ classWeights }).divisor).toBeCloseTo(1.25 + 0.5 + 2 + 2, 6);
  const mixed = 0.75 * 1.25 + 0.25 * 2 + 0.9 * 0.5 + 0.1 * 2 + 0.5 * 2 + 0.5 * 0.5 + 0.6 * 2 + 0.4 * 1.25;
  expect(byGraph({ classWeights, mixes: true }).divisor).toBeCloseTo(mixed, 6);
});

test.each([[[1, 2]], [[1, 0, 1]], [[1, 1, Number.NaN]]])('class weights %j are refused', (weights) => {
  expect(() => byGraph({ classWeights: weights })).toThrow('3 class weights above 0 are wanted');
});
