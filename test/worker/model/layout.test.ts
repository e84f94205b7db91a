import { describe, expect, test } from 'vitest';
import { archs } from '../../../plan/run-config.js';
import { rowsOf } from '../../../worker/model/blocks.js';
import { gradientOf } from '../../../worker/model/gradient-of.js';
import { layOutReduction, layOutState, stateTensors } from '../../../worker/model/layout.js';
import { describeNetwork, volume } from '../../../worker/model/parameters.js';
import { rowLength } from '../../../worker/tensorflow/rows.js';

/** torchvision's parameter counts without the last layer (`fc`), and the channels that it took. */
const bodies = {
  resnet18: [11_176_512, 512],
  resnet34: [21_284_672, 512],
  resnet50: [23_508_032, 2048],
  resnet101: [42_500_160, 2048],
  resnet152: [58_143_808, 2048],
} as const;

const classes = 37;
const headCount = (features: number) =>
  2 * (2 * features) + 2 * features * 512 + 512 + 2 * 512 + 512 * classes + classes;

describe.each(archs)('%s', (arch) => {
  const network = describeNetwork(arch, classes);
  const state = layOutState(network);

  test('has as many parameters as in torchvision, and fastai’s head', () => {
    const [body, features] = bodies[arch];
    expect(state.parameterLength).toBe(body + headCount(features));
  });

  test('the state fills its vector without gap or overlap', () => {
    for (const layout of [state, layOutState(network, { averaged: true })]) {
      let offset = 0;
      for (const spec of stateTensors(layout)) {
        expect(spec.offset).toBe(offset);
        offset += volume(spec.shape);
      }
      expect(layout.length).toBe(offset);
    }
  });

  test.each(['all', 'frozen'] as const)(
    'the reduction vector of %s: head first, then statistics, then the tail, each in whole rows',
    (trainable) => {
      const reduction = layOutReduction(network, trainable);
      let offset = 0;
      for (const spec of [...reduction.gradients, ...reduction.statistics]) {
        expect(spec.offset).toBe(offset);
        offset += rowLength * rowsOf(volume(spec.shape));
      }
      const { lossSum, correct, samples, microBatches } = reduction.tail;
      expect([lossSum, correct, samples, microBatches]).toEqual([0, 1, 2, 3].map((k) => offset + k));
      expect(reduction.length).toBe(offset + rowLength);
      expect(reduction.gradientLength).toBe(reduction.statistics[0]!.offset);
      expect(reduction.gradients[0]!.name).toBe('head.8.bias');
      expect(reduction.gradients.at(-1)!.name).toBe(trainable === 'all' ? 'conv1.weight' : 'bn1.weight');
    },
  );

  test('the parts of the reduction vector follow the backward pass', () => {
    const { parts, gradients, gradientLength, length } = layOutReduction(network, 'all');
    expect(parts.map(({ start }) => start)).toEqual([0, ...parts.slice(0, -1).map(({ end }) => end)]);
    expect(parts.at(-1)!.end).toBe(length);
    expect(parts.at(-1)!.start).toBeLessThan(gradientLength);
    const contents = parts.map(({ start, end }) => {
      const own = gradients.filter(({ offset }) => offset >= start && offset < end);
      return [...new Set(own.map(({ name }) => name.split('.')[0]))].join(' ');
    });
    expect(contents).toEqual(['head layer4', 'layer3', 'layer2 layer1 bn1 conv1']);
    for (const { start } of parts) expect((4 * start) % 64).toBe(0);
    expect(layOutReduction(network, 'frozen').parts).toHaveLength(1);
  });
});

test('a linear head leads the first part', () => {
  const { parts, gradients } = layOutReduction(describeNetwork('resnet18', classes, 'linear'), 'all');
  expect(gradients[0]!.name).toBe('fc.bias');
  expect(parts).toHaveLength(3);
});

describe('ResNet34', () => {
  const network = describeNetwork('resnet34', classes);

  test('has the counts of fastai’s lesson', () => {
    expect(layOutState(network).parameterLength).toBe(21_831_525);
    const trained = layOutReduction(network, 'frozen').gradients;
    expect(trained.reduce((sum, { shape }) => sum + volume(shape), 0)).toBe(563_877);
  });

  test('has torchvision’s names, order and layer groups', () => {
    const { parameters, statistics } = layOutState(network);
    expect(parameters.slice(0, 5).map(({ name }) => name)).toEqual([
      'conv1.weight',
      'bn1.weight',
      'bn1.bias',
      'layer1.0.conv1.weight',
      'layer1.0.bn1.weight',
    ]);
    const found = new Map(parameters.map(({ name, group, shape }) => [name, { group, shape }]));
    expect(found.get('layer2.3.bn2.bias')).toEqual({ group: 0, shape: [128] });
    expect(found.get('layer3.0.downsample.0.weight')).toEqual({ group: 1, shape: [256, 128, 1, 1] });
    expect(found.get('layer4.2.conv2.weight')).toEqual({ group: 1, shape: [512, 512, 3, 3] });
    expect(found.get('head.8.weight')).toEqual({ group: 2, shape: [37, 512] });
    expect(statistics.slice(0, 2).map(({ name }) => name)).toEqual(['bn1.running_mean', 'bn1.running_var']);
  });
});

test('a bottleneck strides in its 3×3 convolution', () => {
  const { parameters } = describeNetwork('resnet50', classes);
  const found = new Map(parameters.map(({ name, shape }) => [name, shape]));
  expect(found.get('layer2.0.conv1.weight')).toEqual([128, 256, 1, 1]);
  expect(found.get('layer2.0.conv2.weight')).toEqual([128, 128, 3, 3]);
  expect(found.get('layer2.0.downsample.0.weight')).toEqual([512, 256, 1, 1]);
});

test('a gradient comes out of the vector in PyTorch’s layout', () => {
  const layout = layOutReduction(describeNetwork('resnet18', classes), 'all');
  const held = layout.gradients.find(({ name }) => name === 'conv1.weight')!;
  const vector = new Float32Array(layout.length);
  const [height, width, input, output] = [7, 7, 3, 64];
  const place = (y: number, x: number, i: number, o: number) => ((y * width + x) * input + i) * output + o;
  vector[held.offset + place(2, 5, 1, 40)] = 3;
  const { shape, values } = gradientOf(layout, vector, 'conv1.weight');
  expect(shape).toEqual([output, input, height, width]);
  expect(values.indexOf(3)).toBe(((40 * input + 1) * height + 2) * width + 5);
  expect(() => gradientOf(layout, vector, 'fc.weight')).toThrow('no gradient of fc.weight');
});
