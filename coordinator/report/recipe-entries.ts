import { totalSteps } from '../../plan/phases.js';
import type { PhaseConfig, RunConfig } from '../../plan/run-config.js';
import { describeTraining } from '../options/training-options.js';
import type { RunRecord } from '../run-store/run-directory.js';
import { formatInteger, formatRate } from '../terminal/figures.js';

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
  ];
}

/** The options that were trained with, and what followed from them. */
export function trainingEntries({ config, training }: RunRecord): RecipeEntry[] {
  const { pretrainedDigest } = config;
  return [
    ...describeTraining(training),
    ['Dropout', config.dropout.join(', ')],
    ['Begun with', pretrainedDigest === null ? 'random weights' : `weights ${pretrainedDigest.slice(0, 16)}`],
    ['Steps', formatInteger(totalSteps(config))],
  ];
}
