import { expect, test } from 'vitest';
import type { StateLayout } from '../../../../worker/model/layout.js';
import {
  findNetwork,
  overlayPretrained as overlayDicts,
} from '../../../../worker/model/weights/load-pretrained.js';
import type {
  TensorDict,
  WeightTensor,
  WeightValues,
} from '../../../../worker/model/weights/weight-tensor.js';
import { layoutOf } from '../../../support/state-layout.js';

const layout = layoutOf(
  [
    ['conv1.weight', [2, 1, 1, 2]],
    ['bn1.weight', [2]],
    ['head.8.weight', [3, 1]],
  ],
  [
    ['bn1.running_var', [2]],
    ['head.2.running_var', [1]],
  ],
);

function overlayPretrained(
  state: Float32Array,
  of: StateLayout,
  tensors: TensorDict['tensors'],
  file?: string,
) {
  overlayDicts(state, of, [{ path: '', tensors }], file);
}

function tensor(shape: number[], values: WeightValues = new Float32Array(shape.reduce((a, b) => a * b, 1))) {
  return { shape, dtype: 'F32', values } satisfies WeightTensor;
}

function torchvision(): Map<string, WeightTensor> {
  return new Map<string, WeightTensor>([
    ['conv1.weight', tensor([2, 1, 1, 2], Float32Array.of(1, 2, 3, 4))],
    ['bn1.weight', tensor([2], Float64Array.of(0.5, 0.25))],
    ['bn1.running_var', tensor([2], Float32Array.of(8, 9))],
    ['bn1.num_batches_tracked', tensor([], BigInt64Array.of(7n))],
    ['optimizer.first.bn1.weight', tensor([2])],
    ['fc.weight', tensor([1000, 1])],
    ['fc.bias', tensor([1000])],
  ]);
}

function load(tensors: Map<string, WeightTensor>): number[] {
  const state = new Float32Array(layout.length).fill(-1);
  overlayPretrained(state, layout, tensors);
  return [...state];
}

test('a body goes to its places; head, moments, classifier and counters are left alone', () => {
  const untouched = new Array(layout.length - 12).fill(-1);
  expect(load(torchvision())).toEqual([1, 2, 3, 4, 0.5, 0.25, -1, -1, -1, 8, 9, -1, ...untouched]);
});

test('a head in the file is loaded too', () => {
  const tensors = torchvision()
    .set('head.8.weight', tensor([3, 1], Float32Array.of(5, 6, 7)))
    .set('head.2.running_var', tensor([1], Float32Array.of(2)));
  expect(load(tensors).slice(0, 12)).toEqual([1, 2, 3, 4, 0.5, 0.25, 5, 6, 7, 8, 9, 2]);
});

test.each<[string, string, WeightValues]>([
  ['conv1.weight', 'NaN', Float32Array.of(1, Number.NaN, 3, 4)],
  ['bn1.running_var', 'infinite', Float32Array.of(8, Number.POSITIVE_INFINITY)],
  ['bn1.weight', 'too large for float32', Float64Array.of(0.5, 1e39)],
])('%s that is %s is refused by name, and nothing is written', (name, _, values) => {
  const tensors = torchvision();
  const state = new Float32Array(layout.length);
  tensors.set(name, tensor([...tensors.get(name)!.shape], values));
  const attempt = () => overlayPretrained(state, layout, tensors, 'resnet.safetensors');
  expect(attempt).toThrow(`resnet.safetensors has weights that are NaN or infinite: ${name}.`);
  expect(state.every((value) => value === 0)).toBe(true);
  // What is not taken may be anything.
  expect(() =>
    load(torchvision().set('fc.bias', tensor([1000], new Float32Array(1000).fill(Number.NaN)))),
  ).not.toThrow();
});

test('every missing, extra and misshapen tensor is named in one error, and nothing is written', () => {
  const tensors = torchvision();
  tensors.delete('bn1.weight');
  tensors.set('layer9.weight', tensor([1])).set('layer9.bias', tensor([1]));
  tensors.set('bn1.running_var', tensor([3]));
  const state = new Float32Array(layout.length);
  const attempt = () => overlayPretrained(state, layout, tensors, 'resnet.safetensors');
  expect(attempt).toThrow(
    'resnet.safetensors does not fit this network: missing: bn1.weight; ' +
      'not part of this network: layer9.weight, layer9.bias; ' +
      'of another shape: bn1.running_var ([3], expected [2]).',
  );
  expect(attempt).toThrow(
    expect.objectContaining({ code: 'invalid-argument', remedy: expect.stringContaining('--arch') }),
  );
  expect(state.every((value) => value === 0)).toBe(true);
});

test('part of a head is a mistake', () => {
  expect(() => load(torchvision().set('head.8.weight', tensor([3, 1])))).toThrow(
    'missing: head.2.running_var',
  );
});

test('equal counts in another shape are another shape', () => {
  expect(() => load(torchvision().set('conv1.weight', tensor([1, 2, 2, 1])))).toThrow(
    'conv1.weight ([1, 2, 2, 1], expected [2, 1, 1, 2])',
  );
});

test('a long list is counted rather than shown whole', () => {
  const tensors = torchvision();
  for (let i = 0; i < 25; i += 1) tensors.set(`other.${i}`, tensor([1]));
  expect(() => load(tensors)).toThrow(/other\.19 and 5 more/);
});

const linear = layoutOf(
  [
    ['conv1.weight', [2, 1, 1, 2]],
    ['fc.weight', [3, 2]],
    ['fc.bias', [3]],
  ],
  [],
);

test.each([
  ['as many classes goes to a linear head', [3, 2], [3], [5, 6, 7]],
  ['other classes leaves a linear head as it is', [4, 2], [4], [-1, -1, -1]],
  ['a part that does not fit is left out whole', [3, 2], [4], [-1, -1, -1]],
])('torchvision’s classifier of %s', (_, weight, bias, expected) => {
  const state = new Float32Array(linear.length).fill(-1);
  overlayPretrained(
    state,
    linear,
    new Map([
      ['conv1.weight', tensor([2, 1, 1, 2])],
      ['fc.weight', tensor(weight, new Float32Array(weight[0]! * weight[1]!).fill(-1))],
      [
        'fc.bias',
        tensor(
          bias,
          Float32Array.from({ length: bias[0]! }, (_, k) => 5 + k),
        ),
      ],
    ]),
  );
  const place = linear.parameters[2]!.offset;
  expect([...state.subarray(place, place + 3)]).toEqual(expected);
});

test('a head of fastai’s does not go into a network with a linear one', () => {
  const tensors = new Map([
    ['conv1.weight', tensor([2, 1, 1, 2])],
    ['head.8.weight', tensor([3, 2])],
  ]);
  const attempt = () => overlayPretrained(new Float32Array(linear.length), linear, tensors);
  expect(attempt).toThrow('not part of this network: head.8.weight');
  expect(attempt).toThrow(expect.objectContaining({ remedy: expect.stringContaining('--head') }));
});

test('a checkpoint’s moving averages are taken for what they average', () => {
  const tensors = torchvision()
    .set('average.conv1.weight', tensor([2, 1, 1, 2], Float32Array.of(9, 8, 7, 6)))
    .set('average.bn1.weight', tensor([2], Float32Array.of(3, 4)));
  expect(load(tensors).slice(0, 6)).toEqual([9, 8, 7, 6, 3, 4]);
});

function under(prefix: string, tensors = torchvision()): Map<string, WeightTensor> {
  return new Map([...tensors].map(([name, value]) => [`${prefix}${name}`, value]));
}

test.each(['module.', 'model.', 'backbone.', 'net.', '_orig_mod.', 'module.model.backbone.', 'layer1.', 'x'])(
  'names that all begin with "%s" are the network’s',
  (prefix) => {
    const tensors = under(prefix);
    if (prefix === 'x') return expect(() => load(tensors)).toThrow('missing: conv1.weight');
    expect(load(tensors)).toEqual(load(torchvision()));
    expect(findNetwork([{ path: '', tensors }], layout)).toMatchObject({ place: prefix, copies: [] });
  },
);

test('what lies outside the prefix is left out, and what lies inside must be the network’s', () => {
  const beside = under('model.')
    .set('criterion.weight', tensor([3]))
    .set('projector.0.weight', tensor([3]));
  expect(load(beside)).toEqual(load(torchvision()));
  const inside = under('model.').set('model.layer9.weight', tensor([1]));
  expect(() => load(inside)).toThrow(
    'does not fit this network, under "model.": not part of this network: layer9.weight.',
  );
});

test('a head under the prefix is loaded with its body', () => {
  const tensors = torchvision()
    .set('head.8.weight', tensor([3, 1], Float32Array.of(5, 6, 7)))
    .set('head.2.running_var', tensor([1], Float32Array.of(2)));
  expect(load(under('module.', tensors))).toEqual(load(tensors));
});

test.each([
  [['ema', 'state_dict'], 'state_dict.', ['ema.']],
  [['ema', 'model'], 'model.', ['ema.']],
  [['student', 'teacher'], 'student.', ['teacher.']],
  [['checkpoint.ema', 'checkpoint.model'], 'checkpoint.model.', ['checkpoint.ema.']],
])('of several dicts %j that hold the network, %s is taken', (paths, place, copies) => {
  const dicts = paths.map((path) => ({ path, tensors: torchvision() }));
  expect(findNetwork(dicts, layout)).toMatchObject({ place, copies });
});

test('the dict that holds most of the network is taken, wherever it lies', () => {
  const few = { path: 'state_dict', tensors: new Map([['conv1.weight', tensor([2, 1, 1, 2])]]) };
  const all = { path: 'ema.shadow', tensors: under('module.') };
  const state = new Float32Array(layout.length).fill(-1);
  overlayDicts(state, layout, [few, all]);
  expect([...state]).toEqual(load(torchvision()));
  expect(findNetwork([few, all], layout)).toMatchObject({ place: 'ema.shadow.module.', copies: [] });
});
