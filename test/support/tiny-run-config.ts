import type { RunConfig } from '../../plan/run-config.js';

/** A valid run configuration of next to no work. */
export function tinyRunConfig(overrides: Partial<RunConfig> = {}): RunConfig {
  return {
    runId: 'tiny',
    seed: 1,
    arch: 'resnet18',
    classes: ['a', 'b'],
    trainCount: 20,
    validCount: 7,
    datasetDigest: 'none',
    size: 32,
    presize: 40,
    batchSize: 5,
    microBatch: 5,
    phases: [{ name: 'train', epochs: 1, trainable: 'all', learningRates: [1e-3, 1e-3, 1e-3] }],
    weightDecay: 0.01,
    dropout: [0.25, 0.5],
    augment: 'none',
    precision: 'float32',
    wire: 'float32',
    pretrainedDigest: null,
    ...overrides,
  };
}
