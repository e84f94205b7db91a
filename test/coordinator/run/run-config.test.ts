import { describe, expect, it } from 'vitest';
import { digestRunConfig } from '../../../coordinator/checkpoints/checkpoint-file.js';
import { resolveStart } from '../../../coordinator/options/start-config.js';
import type { RawStart } from '../../../coordinator/options/start-schema.js';
import { buildRunConfig, phasesFor, presizeFor } from '../../../coordinator/run/run-config.js';
import { tinyDataset } from '../../support/tiny-run.js';

function trainingOf(raw: RawStart) {
  const start = resolveStart({ data: 'x', ...raw });
  if (start.kind !== 'new') throw new Error('expected a new run');
  return start.training;
}

describe('presizeFor', () => {
  it('is a multiple of 4 near 8/7, not more than a pixel below', () => {
    expect([32, 48, 96, 224].map(presizeFor)).toEqual([36, 56, 112, 256]);
    for (let size = 32; size <= 1024; size++) {
      const presize = presizeFor(size);
      expect(presize % 4).toBe(0);
      expect(presize - (size * 8) / 7).toBeGreaterThanOrEqual(-1);
      expect(presize - (size * 8) / 7).toBeLessThan(3);
    }
  });
});

describe('the recipe’s further choices', () => {
  it('reach both programs under the names of the configuration', () => {
    const choices = { head: 'linear', 'label-smoothing': '0.1', mixup: '0.4', 'clip-norm': '1', ema: '0.99' };
    const stopping = { 'early-stopping': 3, 'keep-best': 'error_rate' };
    const config = buildRunConfig('mine', trainingOf({ ...choices, ...stopping }), tinyDataset(), null);
    expect(config).toMatchObject({
      head: 'linear',
      labelSmoothing: 0.1,
      mixup: 0.4,
      clipNorm: 1,
      emaDecay: 0.99,
    });
    const plain = buildRunConfig('mine', trainingOf({ head: 'fastai' }), tinyDataset(), null);
    expect(plain).toMatchObject({
      head: 'fastai',
      labelSmoothing: 0,
      mixup: 0,
      clipNorm: null,
      emaDecay: null,
    });
    const stopped = buildRunConfig('mine', trainingOf({ ...stopping, head: 'fastai' }), tinyDataset(), null);
    expect(digestRunConfig(stopped)).toBe(digestRunConfig(plain));
  });
});

describe('phasesFor', () => {
  it('is one unfrozen phase from scratch', () => {
    expect(phasesFor(trainingOf({ epochs: 5 }))).toEqual([
      { name: 'unfrozen', epochs: 5, trainable: 'all', learningRates: [3e-3, 3e-3, 3e-3] },
    ]);
  });

  it('is frozen epochs, then unfrozen ones at rates per group, when pretrained', () => {
    const [frozen, unfrozen] = phasesFor(trainingOf({ pretrained: 'w' }));
    expect(frozen).toEqual({
      name: 'frozen',
      epochs: 4,
      trainable: 'frozen',
      learningRates: [3e-3 / 10, 3e-3 / 10, 3e-3],
    });
    expect(unfrozen).toMatchObject({ name: 'unfrozen', epochs: 2, trainable: 'all' });
    for (const [group, rate] of [1e-6, 1e-5, 1e-4].entries()) {
      expect(unfrozen!.learningRates[group]).toBeCloseTo(rate, 12);
    }
  });

  it('takes both rates as they are given', () => {
    const lesson = { 'freeze-epochs': '4', epochs: '2', lr: ',3e-3', 'unfreeze-lr': '1e-6,1e-4' };
    expect(phasesFor(trainingOf({ pretrained: 'w', ...lesson }))).toEqual(
      phasesFor(trainingOf({ pretrained: 'w' })),
    );
    const other = phasesFor(trainingOf({ pretrained: 'w', lr: '1e-3,1e-1', 'unfreeze-lr': 1e-5 }));
    expect(
      other.map(({ learningRates }) => learningRates.map((rate) => Number(rate.toPrecision(6)))),
    ).toEqual([
      [1e-3, 1e-2, 1e-1],
      [1e-5, 1e-5, 1e-5],
    ]);
  });

  it('gives all but the head a tenth of ,MAX, in either phase', () => {
    const both = phasesFor(trainingOf({ pretrained: 'w', lr: ',1e-2', 'unfreeze-lr': ', 2e-4' }));
    expect(both.map(({ learningRates }) => learningRates)).toEqual([
      [1e-3, 1e-3, 1e-2],
      [2e-5, 2e-5, 2e-4],
    ]);
    expect(phasesFor(trainingOf({ lr: ',3e-3' }))[0]!.learningRates).toEqual([3e-3 / 10, 3e-3 / 10, 3e-3]);
  });

  it('leaves out a phase without epochs, and gives --lr to the only one', () => {
    const frozenOnly = phasesFor(trainingOf({ pretrained: 'w', epochs: 0, lr: 1e-2 }));
    expect(frozenOnly.map(({ name, learningRates }) => [name, learningRates[0]])).toEqual([['frozen', 1e-2]]);
    const unfrozenOnly = phasesFor(trainingOf({ pretrained: 'w', 'freeze-epochs': 0, lr: 1e-2 }));
    expect(unfrozenOnly.map(({ name, learningRates }) => [name, learningRates[0]])).toEqual([
      ['unfrozen', 1e-2],
    ]);
  });
});

describe('buildRunConfig', () => {
  it('is frozen through and through, and survives JSON unchanged', () => {
    const config = buildRunConfig('run', trainingOf({ pretrained: 'w' }), tinyDataset(), 'digest');
    expect(config).toMatchObject({ trainCount: 22, validCount: 5, presize: 256, dropout: [0.25, 0.5] });
    expect(Object.isFrozen(config.phases[0]!.learningRates)).toBe(true);
    const reread = JSON.parse(JSON.stringify(config)) as typeof config;
    expect(reread).toEqual(config);
    expect(digestRunConfig(reread)).toBe(digestRunConfig(config));
    expect(digestRunConfig({ ...reread, seed: 1 })).not.toBe(digestRunConfig(config));
  });
});

describe('class weights', () => {
  it('are those of the training images, when asked for', () => {
    const dataset = tinyDataset();
    const uneven = {
      ...dataset,
      train: Array.from(dataset.train, (sample, id) => ({ ...sample, label: Number(id < 2) })),
    };
    const weightsOf = (raw: RawStart) => buildRunConfig('run', trainingOf(raw), uneven, null).classWeights;
    expect(weightsOf({})).toBeNull();
    expect(weightsOf({ 'class-weights': 'none' })).toBeNull();
    expect(weightsOf({ 'class-weights': 'balanced' })).toEqual([22 / (2 * 20), 22 / (2 * 2)]);
  });
});
