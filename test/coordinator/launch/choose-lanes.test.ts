import { describe, expect, it } from 'vitest';
import { chooseLanes } from '../../../coordinator/launch/choose-lanes.js';

describe('chooseLanes', () => {
  it.each([
    // cores, workers here, threads of each, lanes
    [2, 1, 2, 1],
    [2, 4, 1, 1],
    [64, 4, 16, 1],
    [16, 4, 4, 1],
    [16, 4, 3, 2],
    [16, 4, 1, 4],
    [16, 1, 1, 4],
    [8, 4, 16, 1],
    [8, 0, 6, 3],
  ])('%i cores, %i workers, %s threads: %i', (cores, localWorkers, threads, lanes) => {
    expect(chooseLanes({ localWorkers, threads }, cores)).toBe(lanes);
  });
});
