import { expect, test } from 'vitest';
import { initialState } from '../../../worker/model/initialize.js';
import { layoutOf } from '../../support/state-layout.js';

const layout = layoutOf(
  [
    ['conv1.weight', [64, 3, 7, 7]],
    ['bn1.weight', [64]],
    ['bn1.bias', [64]],
    ['head.4.weight', [512, 128]],
    ['head.4.bias', [511]],
    ['layer1.0.conv1.weight', [5, 3, 3, 1]],
  ],
  [
    ['bn1.running_mean', [64]],
    ['bn1.running_var', [64]],
  ],
);

function part(state: Float32Array, name: string): Float32Array {
  const spec = [...layout.parameters, ...layout.statistics, ...layout.first, ...layout.second].find(
    (candidate) => candidate.name === name,
  )!;
  return state.subarray(spec.offset, spec.offset + spec.shape.reduce((a, b) => a * b, 1));
}

function moments(values: Float32Array) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const central = (power: number) => values.reduce((sum, v) => sum + (v - mean) ** power, 0) / values.length;
  return { mean, deviation: Math.sqrt(central(2)), kurtosis: central(4) / central(2) ** 2 };
}

test.each([
  ['conv1.weight', Math.sqrt(2 / (64 * 7 * 7))],
  ['head.4.weight', Math.sqrt(2 / 128)],
])('%s is normal with deviation %f', (name, deviation) => {
  const found = moments(part(initialState(layout, 1), name));
  expect(found.deviation / deviation).toBeCloseTo(1, 1);
  expect(Math.abs(found.mean) / deviation).toBeLessThan(0.05);
  expect(Math.abs(found.kurtosis - 3)).toBeLessThan(0.2);
});

test('batch norm starts as the identity, biases and moments at nothing', () => {
  const state = initialState(layout, 1);
  const constant = (name: string, value: number) => part(state, name).every((v) => v === value);
  for (const name of ['bn1.weight', 'bn1.running_var']) expect(constant(name, 1)).toBe(true);
  for (const name of ['bn1.bias', 'bn1.running_mean', 'head.4.bias']) expect(constant(name, 0)).toBe(true);
  for (const spec of [...layout.first, ...layout.second]) expect(constant(spec.name, 0)).toBe(true);
});

test('the state is the same for the same seed, another for another; tensors are independent', () => {
  const state = initialState(layout, 1);
  expect(Buffer.from(initialState(layout, 1).buffer).equals(Buffer.from(state.buffer))).toBe(true);
  expect(part(initialState(layout, 2), 'conv1.weight')[0]).not.toBe(part(state, 'conv1.weight')[0]);
  const [body, head] = [part(state, 'conv1.weight'), part(state, 'head.4.weight')];
  const product = body.reduce((sum, v, i) => sum + v * head[i]!, 0);
  const lengths = Math.hypot(...body) * Math.hypot(...head.subarray(0, body.length));
  expect(Math.abs(product / lengths)).toBeLessThan(0.05);
});
