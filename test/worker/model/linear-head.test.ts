import { afterAll, expect, test } from 'vitest';
import { initialState } from '../../../worker/model/initialize.js';
import { layOutReduction, layOutState } from '../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../worker/model/parameters.js';
import {
  type NormalizedBatch,
  openProgram,
  type Program,
  type ProgramOptions,
} from '../../../worker/model/program.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { randomValues, relativeDistance } from '../../support/tensorflow/random-values.js';

const [classes, size, count, features] = [4, 64, 3, 512];
const base = {
  arch: 'resnet18',
  classes,
  size,
  presize: size,
  precision: 'float32',
  dropout: [0, 0],
  trainable: ['frozen'],
  weightDecay: 0,
  input: 'normalized',
} as const satisfies ProgramOptions;
const batch: NormalizedBatch = {
  pixels: randomValues(count * size * size * 3, 3),
  labels: Int32Array.of(0, 3, 2),
};

const linear = openProgram({ ...base, head: 'linear' });
const fastai = openProgram(base);
afterAll(() => {
  linear.close();
  fastai.close();
});

const valuesOf = (program: Program<NormalizedBatch>, state: Float32Array, name: string) => {
  const { offset, shape } = [...program.state.parameters, ...program.state.statistics].find(
    (t) => t.name === name,
  )!;
  return state.subarray(offset, offset + volume(shape));
};

test.each([
  ['resnet18', 11_689_512],
  ['resnet34', 21_797_672],
  ['resnet50', 25_557_032],
] as const)(
  'makes %s torchvision’s network of 1000 classes: its parameter count and its last names',
  (arch, expected) => {
    const network = describeNetwork(arch, 1000, 'linear');
    const { parameters, parameterLength } = layOutState(network);
    expect(parameterLength).toBe(expected);
    expect(parameters.slice(-2).map(({ name, group }) => [name, group])).toEqual([
      ['fc.weight', 2],
      ['fc.bias', 2],
    ]);
    expect(layOutReduction(network, 'frozen').gradients[0]!.name).toBe('fc.bias');
  },
);

test('is the weights times the mean of the features: those that fastai’s head pools too', () => {
  const state = plausibleState(linear.state);
  linear.load(state);

  // fastai's head, set to let the mean of the first hidden features through to the logits and nothing else.
  const other = initialState(fastai.state, 1);
  for (const { name } of [...linear.state.parameters, ...linear.state.statistics]) {
    if (!name.startsWith('fc.')) valuesOf(fastai, other, name).set(valuesOf(linear, state, name));
  }
  const narrow = valuesOf(fastai, other, 'head.4.weight').fill(0);
  const last = valuesOf(fastai, other, 'head.8.weight').fill(0);
  const picked = Array.from({ length: classes }, (_, k) => 17 * k + 5);
  picked.forEach((feature, k) => {
    narrow[k * 2 * features + features + feature] = 1;
    last[k * 512 + k] = 1;
  });
  fastai.load(other);
  const pooled = fastai.logits(batch).map((value) => value * (1 + 1e-5)); // of two batch norms' epsilon

  const weight = valuesOf(linear, state, 'fc.weight').fill(0);
  const bias = valuesOf(linear, state, 'fc.bias');
  const factors = [1, -2, 3, 0.5];
  picked.forEach((feature, k) => {
    weight[k * features + feature] = factors[k]!;
  });
  linear.load(state);
  const expected = pooled.map((value, at) => value * factors[at % classes]! + bias[at % classes]!);
  expect(relativeDistance(linear.logits(batch), expected)).toBeLessThan(1e-5);
  expect(Math.max(...pooled)).toBeGreaterThan(0.1);
});

test('has the gradient of a linear layer under a softmax', () => {
  linear.load(plausibleState(linear.state));
  const layout = linear.reduction('frozen');
  const vector = new Float32Array(layout.length);
  const update = { trainable: 'frozen', learningRates: [0, 0, 1e-2], momentum: 0.9 } as const;
  const losses = [1, 2, 3, 4, 5].map((step) => {
    linear.gradients([{ batch, key: [step, step] }], 'frozen', vector);
    linear.apply(vector, update);
    return vector[layout.tail.lossSum]!;
  });
  const bias = vector.subarray(layout.gradients[0]!.offset, layout.gradients[0]!.offset + classes);
  // Probabilities less one at the label: they add up to nothing.
  expect(Math.abs(bias.reduce((sum, value) => sum + value, 0))).toBeLessThan(1e-5);
  expect(losses.at(-1)!).toBeLessThan(losses[0]! / 2);
});
