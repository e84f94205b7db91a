import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readNetworkState } from '../../../worker/jobs/checkpoint-tensors.js';
import type { StateLayout } from '../../../worker/model/program.js';
import { writeSafetensors } from '../../../worker/model/weights/safetensors.js';
import { temporaryFolder } from '../../support/tiny-run.js';

const layout: StateLayout = {
  parameters: [{ name: 'w', shape: [2, 2], offset: 0, group: 0 }],
  statistics: [{ name: 'n.running_mean', shape: [1], offset: 4 }],
  first: [{ name: 'optimizer.first.w', shape: [2, 2], offset: 5 }],
  second: [{ name: 'optimizer.second.w', shape: [2, 2], offset: 9 }],
  updates: { name: 'optimizer.updates', shape: [1], offset: 13 },
  amax: { name: 'optimizer.amax', shape: [1], offset: 14 },
  average: [
    { name: 'average.w', shape: [2, 2], offset: 15 },
    { name: 'average.n.running_mean', shape: [1], offset: 19 },
  ],
  length: 20,
  parameterLength: 4,
  evaluated: { start: 15, end: 20 },
};

function write(tensors: Record<string, { shape: number[]; values: number[] }>): string {
  const file = path.join(temporaryFolder(), 'state.safetensors');
  const listed = Object.entries(tensors).map(([name, { shape, values }]) => ({
    ...{ name, shape, values: Float32Array.from(values) },
  }));
  writeFileSync(file, Buffer.concat([...writeSafetensors(listed)]));
  return file;
}

const whole = {
  'optimizer.first.w': { shape: [2, 2], values: [9, 9, 9, 9] },
  'n.running_mean': { shape: [1], values: [5] },
  'average.w': { shape: [2, 2], values: [6, 7, 8, 9] },
  'average.n.running_mean': { shape: [1], values: [10] },
  w: { shape: [2, 2], values: [1, 2, 3, 4] },
};

describe('readNetworkState', () => {
  it('finds tensors by name in any order, and leaves the moments at zero', async () => {
    const state = await readNetworkState(write(whole), layout);
    expect([...state]).toEqual([1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 7, 8, 9, 10]);
    expect(state.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it('names the file and what it lacks', async () => {
    const { w, ...rest } = whole;
    await expect(readNetworkState(write(rest), layout)).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/state\.safetensors has no float32 w \[2, 2\]$/),
    });
    const misshapen = write({ ...whole, w: { ...w, shape: [4] } });
    await expect(readNetworkState(misshapen, layout)).rejects.toThrow('w [2, 2], but F32 [4]');
  });
});
