import type { RunConfig } from '../../plan/run-config.js';

/** A small whole run: 2 epochs of 23 samples in batches of 8, cut into micro-batches of 2. */
export function runConfig(changes: Partial<RunConfig> = {}): RunConfig {
  return {
    runId: 'test-run',
    task: { kind: 'train' },
    seed: 7,
    arch: 'resnet18',
    classes: ['a', 'b'],
    trainCount: 23,
    validCount: 70,
    datasetDigest: 'digest',
    size: 32,
    presize: 36,
    batchSize: 8,
    microBatch: 2,
    phases: [{ name: 'unfrozen', epochs: 2, trainable: 'all', learningRates: [1e-3, 1e-3, 1e-3] }],
    weightDecay: 0.01,
    dropout: [0.25, 0.5],
    augment: 'fastai',
    head: 'fastai',
    labelSmoothing: 0,
    clipNorm: null,
    emaDecay: null,
    mixup: 0,
    classWeights: null,
    precision: 'float32',
    wire: 'float32',
    ring: 'sockets',
    threads: 1,
    mixed: 'allow',
    lanes: 1,
    pretrainedDigest: null,
    ...changes,
  };
}
