import type { LearningRateSpec } from '../../plan/learning-rates.js';
import { type AugmentKind, augmentKinds } from '../../plan/run-config.js';
import { isSampleFromScratch, planOption, type Settled, trainingOption } from './option.js';
import { integer, learningRate, number, oneOf } from './value-types.js';

/** `balanced`: all classes have the same share of the loss, however many images they have. */
const classWeightings = ['none', 'balanced'] as const;
export type ClassWeighting = (typeof classWeightings)[number];

const microBatch = 16;
/** Chosen so that the sample set ends in a few minutes on two cores. */
const epochs = { folder: 4, sample: 5, fineTuned: 2 };
const frozenEpochs = 4;
const scratchRate = 3e-3;
/** fastai's default, slice(3e-3), then the lesson's slice(1e-6, 1e-4). */
const frozenRate = { max: 3e-3 };
const fineTuningRates = { min: 1e-6, max: 1e-4 };

const hasWeights = ({ pretrained, from }: Settled) => pretrained !== null || from !== null;
const unfrozenRate = (settled: Settled) => (hasWeights(settled) ? fineTuningRates : scratchRate);
const shareBelowOne = number('a number from 0 up to, but not including, 1', (n) => n >= 0 && n < 1);

/** How the network is trained. */
export const recipeOptions = {
  augment: planOption<AugmentKind>({
    value: 'KIND',
    text:
      "what is done to training images: fastai, the lesson's transforms; flip, left-right and a random crop of the long " +
      'side alone; none, the middle of each. `coordinator show-batch` shows it',
    type: oneOf(augmentKinds),
    default: (settled) => (isSampleFromScratch(settled) ? 'flip' : 'fastai'),
    defaultText: 'fastai; sample: flip',
    title: 'Augmentation',
  }),
  batchSize: planOption({
    value: 'N',
    text: 'images of a step over all workers',
    type: integer(2, 65_536),
    default: 64,
    title: 'Batch',
    show: (images) => `${images} images`,
  }),
  microBatch: planOption<number>({
    value: 'N',
    text: "images of one forward and backward pass; a step's are shared among the workers",
    type: integer(2, 4096),
    default: ({ batchSize }) => Math.min(microBatch, batchSize),
    defaultText: String(microBatch),
    title: 'Micro-batch',
    show: (images) => `${images} images`,
  }),
  freezeEpochs: trainingOption<number>({
    value: 'N',
    text: 'epochs that train the head only, before those that train all layers',
    type: integer(0, 100_000),
    default: (settled) => (hasWeights(settled) ? frozenEpochs : 0),
    defaultText: `${frozenEpochs} with --pretrained or --from, else 0`,
  }),
  epochs: trainingOption<number>({
    value: 'N',
    text: 'epochs that train all layers',
    type: integer(0, 100_000),
    default(settled) {
      if (hasWeights(settled)) return epochs.fineTuned;
      return settled.data === 'sample' ? epochs.sample : epochs.folder;
    },
    defaultText: `${epochs.folder}; sample: ${epochs.sample}; pretrained: ${epochs.fineTuned}`,
  }),
  lr: trainingOption<LearningRateSpec>({
    value: 'LR|MIN,MAX|,MAX',
    text:
      'peak learning rate of the first phase: of the frozen epochs when there are any, else of those that train all ' +
      "layers; MIN,MAX spreads it geometrically over early to late layers, as fastai's slice(MIN, MAX); ,MAX gives the " +
      'head MAX and the layers before it a tenth of that, as slice(MAX)',
    type: learningRate,
    default: (settled) => (settled.freezeEpochs > 0 ? frozenRate : unfrozenRate(settled)),
    defaultText:
      `${scratchRate}; frozen epochs: ,${frozenRate.max}; ` +
      `pretrained without frozen epochs: ${fineTuningRates.min},${fineTuningRates.max}`,
  }),
  /** Null unless there are frozen epochs and others after them. */
  unfreezeLr: trainingOption<LearningRateSpec | null>({
    value: 'LR|MIN,MAX|,MAX',
    text: 'peak learning rate of the epochs that train all layers after frozen ones, given as --lr is',
    type: learningRate,
    default: (settled) => (settled.freezeEpochs > 0 && settled.epochs > 0 ? unfrozenRate(settled) : null),
    defaultText: `${fineTuningRates.min},${fineTuningRates.max}`,
  }),
  weightDecay: planOption({
    value: 'WD',
    text: 'decoupled weight decay',
    type: shareBelowOne,
    default: 0.01,
    title: 'Weight decay',
  }),
  classWeights: trainingOption<ClassWeighting>({
    value: 'KIND',
    text: 'balanced weighs the loss so that classes with few images count as much as those with many; none counts images',
    type: oneOf(classWeightings),
    default: 'none',
    title: 'Class weights',
    show: (kind) => (kind === 'none' ? null : kind),
  }),
  labelSmoothing: planOption({
    value: 'SHARE',
    text: 'share of each label that is spread over all classes, such as 0.1',
    type: shareBelowOne,
    default: 0,
    title: 'Label smoothing',
    show: (share) => (share > 0 ? String(share) : null),
  }),
  mixup: planOption({
    value: 'ALPHA',
    text: "mixes each image and label with another's, by a share drawn from Beta(ALPHA, ALPHA), such as 0.4",
    type: number('a number from 0 to 100, such as 0.4', (n) => n >= 0 && n <= 100),
    default: 0,
    defaultText: '0, none',
    title: 'Mixup',
    show: (alpha) => (alpha > 0 ? `α ${alpha}` : null),
  }),
  clipNorm: planOption<number | null>({
    value: 'NORM',
    text: "largest norm of a step's gradient over all parameters",
    type: number('a number above 0', (n) => n > 0),
    default: null,
    defaultText: 'none',
    title: 'Gradient clipping',
    show: (norm) => (norm === null ? null : `global norm ${norm}`),
  }),
  /** Decay of the weights' moving average, per step. */
  ema: trainingOption<number | null>({
    value: 'DECAY',
    text:
      'validates, predicts and exports with a moving average of the weights that keeps DECAY of itself at each step, ' +
      'less in the first ones',
    type: number('a number above 0 and below 1, such as 0.999', (n) => n > 0 && n < 1),
    default: null,
    defaultText: 'none',
    title: 'Average of weights',
    show: (decay) => (decay === null ? null : `decay ${decay}`),
  }),
  earlyStopping: trainingOption<number | null>({
    value: 'EPOCHS',
    text:
      'ends a phase after so many of its epochs without a lower valid_loss; frozen epochs are followed by those that train ' +
      'all layers, and these end the run',
    type: integer(1, 100_000),
    default: null,
    defaultText: 'never',
    title: 'Early stopping',
    show: (patience) => (patience === null ? null : `after ${patience} epochs without a lower valid_loss`),
  }),
};
