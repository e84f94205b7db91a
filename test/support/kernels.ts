import type { Kernels } from '../../proto/gen/coordinator.js';

/** What a fake worker says it computes with. */
export const fakeKernels: Kernels = {
  tensorflow: '2.21.0',
  gpu: false,
  oneDnn: true,
  processor: 'Fast One',
  instructionSet: 'AVX2',
  threads: 1,
};
