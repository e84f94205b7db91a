import { totalSteps } from '../../plan/phases.js';
import type { PhaseConfig, RunConfig } from '../../plan/run-config.js';
import { formatInteger, formatRate } from './figure-text.js';

/** What reports and model cards say of how a network was trained. */
export type RecipeEntry = readonly [name: string, value: string];

export function describeTrainable(trainable: PhaseConfig['trainable']): string {
  return trainable === 'all' ? 'all layers' : 'head and batch norm';
}

/** Early to late; once when they are all the same. */
export function describeRates(learningRates: readonly number[]): string {
  const rates = new Set(learningRates).size === 1 ? learningRates.slice(0, 1) : learningRates;
  return rates.map(formatRate).join(', ');
}

export function dataEntries(config: RunConfig, root: string): RecipeEntry[] {
  return [
    ['Data', root],
    ['Classes', formatInteger(config.classes.length)],
    ['Training images', formatInteger(config.trainCount)],
    ['Validation images', formatInteger(config.validCount)],
    ['Data digest', config.datasetDigest.slice(0, 16)],
    ['Augmentation', config.augment],
  ];
}

export function networkEntries({
  arch,
  head,
  size,
  dropout,
  pretrainedDigest,
  precision,
}: RunConfig): RecipeEntry[] {
  return [
    ['Network', arch],
    ['Head', head],
    ['Input', `${size} × ${size} px`],
    ['Dropout', dropout.join(', ')],
    ['Begun with', pretrainedDigest === null ? 'random weights' : `weights ${pretrainedDigest.slice(0, 16)}`],
    ['Computed in', precision],
  ];
}

/** What was not asked for is left out. */
export function trainingEntries(config: RunConfig): RecipeEntry[] {
  const { labelSmoothing, clipNorm, emaDecay, mixup, classWeights } = config;
  const optional: [string, string | null][] = [
    ['Label smoothing', labelSmoothing > 0 ? String(labelSmoothing) : null],
    ['Gradient clipping', clipNorm === null ? null : `global norm ${clipNorm}`],
    ['Average of weights', emaDecay === null ? null : `decay ${emaDecay}`],
    ['Mixup', mixup > 0 ? `α ${mixup}` : null],
    ['Class weights', classWeights === null ? null : 'balanced'],
  ];
  return [
    ['Batch', `${config.batchSize} images in micro-batches of ${config.microBatch}`],
    ['Steps', formatInteger(totalSteps(config))],
    ['Weight decay', String(config.weightDecay)],
    ['Seed', String(config.seed)],
    ...optional.filter((entry): entry is [string, string] => entry[1] !== null),
  ];
}
