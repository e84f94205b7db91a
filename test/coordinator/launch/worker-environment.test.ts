import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  divideThreads,
  workerEnvironment,
  workerNodeArguments,
} from '../../../coordinator/launch/worker-environment.js';

describe('divideThreads', () => {
  it.each([
    [1, 2, 2],
    [4, 2, 1],
    [3, 16, 5],
    [4, 16, 4],
    [8, 1, 1],
  ])('gives each of %i workers on %i cores %i', (count, cores, expected) => {
    expect(divideThreads(count, cores)).toBe(expected);
  });
});

describe('workerNodeArguments', () => {
  it('are what a worker that is started by hand has too', async () => {
    const [first] = (await readFile(new URL('../../../worker/main.ts', import.meta.url), 'utf8')).split('\n');
    expect(first).toBe(`#!/usr/bin/env -S node ${workerNodeArguments.join(' ')}`);
  });
});

describe('workerEnvironment', () => {
  it('keeps the settings of its surroundings, not their threads and devices', () => {
    const base = {
      HOME: '/home/somebody',
      TF_CPP_MIN_LOG_LEVEL: '0',
      MALLOC_TRIM_THRESHOLD_: '1',
      OMP_NUM_THREADS: '64',
      CUDA_VISIBLE_DEVICES: '0,1,2,3',
    };
    expect(workerEnvironment(base, { index: 1, threads: 1, gpus: ['2', '3'] })).toEqual({
      HOME: '/home/somebody',
      TF_CPP_MIN_LOG_LEVEL: '0',
      MALLOC_MMAP_THRESHOLD_: '1073741824',
      MALLOC_TRIM_THRESHOLD_: '1',
      TF_NUM_INTRAOP_THREADS: '1',
      TF_NUM_INTEROP_THREADS: '1',
      OMP_NUM_THREADS: '1',
      UV_THREADPOOL_SIZE: '2',
      CUDA_VISIBLE_DEVICES: '3',
    });
  });

  it('has two threads of the pool for each of TensorFlow’s', () => {
    const { UV_THREADPOOL_SIZE } = workerEnvironment({}, { index: 0, threads: 3, gpus: [] });
    expect(UV_THREADPOOL_SIZE).toBe('6');
  });

  it('hides every device when there is none to give', () => {
    const environment = workerEnvironment({ CUDA_VISIBLE_DEVICES: '0' }, { index: 0, threads: 1, gpus: [] });
    expect(environment.CUDA_VISIBLE_DEVICES).toBe('');
  });
});
