import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { WeightTensor } from '../../worker/model/weights/weight-tensor.js';

const folder = new URL('weights/', import.meta.url);
const dtypes: Readonly<Record<string, string>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
};

/** What every small file that PyTorch wrote must read as; integers as text. */
const expected = JSON.parse(readWeightFile('expected.json').toString()) as Record<
  string,
  { shape: number[]; dtype: string; values: (number | string)[] }
>;

export function readWeightFile(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

export function expectWhatPyTorchWrote(tensors: ReadonlyMap<string, WeightTensor>): void {
  expect([...tensors.keys()].sort()).toEqual(Object.keys(expected).sort());
  for (const [name, { shape, dtype, values }] of Object.entries(expected)) {
    const tensor = tensors.get(name)!;
    expect(tensor.shape).toEqual(shape);
    expect(tensor.dtype).toBe(dtypes[dtype]);
    expect(valuesOf(tensor)).toEqual(values);
  }
}

/** Integers of 64 bits as text. */
export function valuesOf(tensor: WeightTensor): (number | string)[] {
  return [...tensor.values].map((value) => (typeof value === 'bigint' ? String(value) : value));
}
