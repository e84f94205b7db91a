/** Recipe values that depend on what is trained on. Chosen so that the sample set ends in a few minutes on two cores. */
export const recipes = {
  sample: { size: 64, batchSize: 64, microBatch: 16, epochs: 8, lr: 3e-3 },
  folder: { size: 224, batchSize: 64, microBatch: 16, epochs: 4, lr: 3e-3 },
} as const;

/** The lesson's fine-tuning: frozen epochs at fastai's default, slice(3e-3), then unfrozen ones at slice(1e-6, 1e-4). */
export const fineTuning = {
  freezeEpochs: 4,
  frozenLr: { max: 3e-3 },
  epochs: 2,
  lr: { min: 1e-6, max: 1e-4 },
} as const;

export const defaults = {
  workers: 1,
  validPct: 0.2,
  split: 'auto',
  seed: 42,
  arch: 'resnet34',
  augment: 'fastai',
  head: 'fastai',
  weightDecay: 0.01,
  labelSmoothing: 0,
  mixup: 0,
  classWeights: 'none',
  precision: 'float32',
  wire: 'float32',
  dropout: [0.25, 0.5],
  listen: '127.0.0.1:0',
  runDir: 'runs',
} as const;
