import { resolve } from 'node:path';
import type { LearningRateSpec } from '../../plan/layer-learning-rates.js';
import type { Arch, AugmentKind, FloatType, HeadKind } from '../../plan/run-config.js';
import { namedData } from '../dataset/named-data.js';
import type { SplitKind } from '../dataset/split.js';
import { defaults, fineTuning, recipes } from './defaults.js';
import { refused } from './refused.js';
import type { ClassWeighting, EpochMeasure, ParsedStart } from './start-schema.js';

/** What decides the weights. Recorded in run.json; a resumed run keeps it. */
export interface TrainingOptions {
  /** Absolute path of a folder, 'sample', or the name of a published data set. */
  readonly data: string;
  readonly labelPattern: string | null;
  /** Absolute path of a CSV file with paths and labels. */
  readonly labels: string | null;
  /** Absolute path of a folder of images that validate. */
  readonly valid: string | null;
  /** Fraction of the samples that validate where they are drawn, above 0 and below 1. */
  readonly validPct: number;
  readonly split: SplitKind;
  /** Go on without unusable images, however many they are. */
  readonly skipBroken: boolean;
  readonly seed: number;
  readonly arch: Arch;
  readonly head: HeadKind;
  readonly size: number;
  readonly augment: AugmentKind;
  readonly batchSize: number;
  readonly microBatch: number;
  /** Unfrozen epochs; they follow `freezeEpochs`. */
  readonly epochs: number;
  readonly freezeEpochs: number;
  /** Peak rate of the frozen epochs, or of the unfrozen ones when they are all there is. */
  readonly lr: LearningRateSpec;
  /** Peak rate of the unfrozen epochs that follow frozen ones; null when it is not both that there are. */
  readonly unfreezeLr: LearningRateSpec | null;
  readonly weightDecay: number;
  readonly labelSmoothing: number;
  /** α of Beta(α, α); 0 for none. */
  readonly mixup: number;
  readonly clipNorm: number | null;
  /** Decay of the weights' moving average, per step. */
  readonly ema: number | null;
  /** Epochs of a phase without a lower validation loss after which the phase ends. */
  readonly earlyStopping: number | null;
  /** What says which checkpoint is marked as best, and kept. */
  readonly keepBest: EpochMeasure | null;
  readonly classWeights: ClassWeighting;
  /** Absolute path of a file of weights, 'imagenet', or null. */
  readonly pretrained: string | null;
  /** The run or checkpoint to start from, as it was given. */
  readonly from: string | null;
  readonly precision: FloatType;
  readonly wire: FloatType;
  /** Threads of each worker for the ring; null lets the machine decide. */
  readonly lanes: number | null;
}

/** All training options: those given, and the recipe's defaults for the rest. Throws invalid-argument. */
export function resolveTraining(parsed: ParsedStart): TrainingOptions {
  const given = givenTraining(parsed);
  const data = given.data ?? 'sample';
  const recipe = data === 'sample' ? recipes.sample : recipes.folder;
  const pretrained = given.pretrained ?? null;
  const from = given.from ?? null;
  const begun = pretrained !== null || from !== null;
  const freezeEpochs = given.freezeEpochs ?? (begun ? fineTuning.freezeEpochs : 0);
  const epochs = given.epochs ?? (begun ? fineTuning.epochs : recipe.epochs);
  const unfrozenLr = begun ? fineTuning.lr : recipe.lr;
  const twoPhases = freezeEpochs > 0 && epochs > 0;
  const training: TrainingOptions = {
    data,
    labelPattern: given.labelPattern ?? null,
    labels: given.labels ?? null,
    valid: given.valid ?? null,
    validPct: given.validPct ?? defaults.validPct,
    split: given.split ?? defaults.split,
    skipBroken: given.skipBroken ?? false,
    seed: given.seed ?? defaults.seed,
    arch: given.arch ?? defaults.arch,
    head: given.head ?? defaults.head,
    size: given.size ?? recipe.size,
    augment: given.augment ?? defaults.augment,
    batchSize: given.batchSize ?? recipe.batchSize,
    microBatch: given.microBatch ?? Math.min(recipe.microBatch, given.batchSize ?? recipe.batchSize),
    epochs,
    freezeEpochs,
    lr: given.lr ?? (freezeEpochs > 0 ? fineTuning.frozenLr : unfrozenLr),
    unfreezeLr: given.unfreezeLr ?? (twoPhases ? unfrozenLr : null),
    weightDecay: given.weightDecay ?? defaults.weightDecay,
    labelSmoothing: given.labelSmoothing ?? defaults.labelSmoothing,
    mixup: given.mixup ?? defaults.mixup,
    clipNorm: given.clipNorm ?? null,
    ema: given.ema ?? null,
    earlyStopping: given.earlyStopping ?? null,
    keepBest: given.keepBest ?? (given.earlyStopping === undefined ? null : 'valid_loss'),
    classWeights: given.classWeights ?? defaults.classWeights,
    pretrained,
    from,
    precision: given.precision ?? defaults.precision,
    wire: given.wire ?? defaults.wire,
    lanes: given.lanes ?? null,
  };
  checkTraining(training);
  checkValidation(given);
  return Object.freeze(training);
}

export function givenTraining(parsed: ParsedStart): Partial<TrainingOptions> {
  const { data, labels, pretrained } = parsed;
  const isName = (text: string) => text === 'sample' || Object.hasOwn(namedData, text);
  const all = {
    data: data === undefined || isName(data) ? data : resolve(data),
    labelPattern: parsed['label-pattern'],
    labels: labels === undefined ? undefined : resolve(labels),
    valid: parsed.valid === undefined ? undefined : resolve(parsed.valid),
    validPct: parsed['valid-pct'],
    split: parsed.split,
    skipBroken: parsed['skip-broken'],
    seed: parsed.seed,
    arch: parsed.arch,
    head: parsed.head,
    size: parsed.size,
    augment: parsed.augment,
    batchSize: parsed['batch-size'],
    microBatch: parsed['micro-batch'],
    epochs: parsed.epochs,
    freezeEpochs: parsed['freeze-epochs'],
    lr: parsed.lr,
    unfreezeLr: parsed['unfreeze-lr'],
    weightDecay: parsed['weight-decay'],
    labelSmoothing: parsed['label-smoothing'],
    mixup: parsed.mixup,
    clipNorm: parsed['clip-norm'],
    ema: parsed.ema,
    earlyStopping: parsed['early-stopping'],
    keepBest: parsed['keep-best'],
    classWeights: parsed['class-weights'],
    pretrained: pretrained === undefined ? undefined : readPretrained(pretrained),
    from: parsed.from,
    precision: parsed.precision,
    wire: parsed.wire,
    lanes: parsed.lanes,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function checkTraining(o: TrainingOptions): void {
  if (o.microBatch > o.batchSize) {
    throw refused(
      `--micro-batch is ${o.microBatch}, which is more than --batch-size ${o.batchSize}`,
      `give --micro-batch ${o.batchSize} or less`,
    );
  }
  if (o.from !== null && o.pretrained !== null) {
    throw refused(
      `--pretrained and --from both say which weights to begin with`,
      'leave one of them out; --from takes a run of your own, --pretrained a file',
    );
  }
  if (o.freezeEpochs > 0 && o.pretrained === null && o.from === null) {
    throw refused(
      `--freeze-epochs is ${o.freezeEpochs}, but without --pretrained or --from the frozen layers would stay random`,
      'give --pretrained imagenet, or leave --freeze-epochs out',
    );
  }
  if (o.unfreezeLr !== null && o.freezeEpochs === 0) {
    throw refused(
      '--unfreeze-lr is the rate of epochs that follow frozen ones, but there are no frozen epochs',
      'give --lr instead, or --freeze-epochs 1 or more',
    );
  }
  if (o.unfreezeLr !== null && o.epochs === 0) {
    throw refused(
      '--unfreeze-lr is the rate of the epochs that train all layers, but --epochs is 0',
      'leave --unfreeze-lr out, or give --epochs 1 or more',
    );
  }
  if (o.epochs + o.freezeEpochs === 0) {
    throw refused('--epochs is 0, so there is nothing to train', 'give --epochs 1 or more');
  }
  if (o.labels !== null && o.labelPattern !== null) {
    throw refused('--labels and --label-pattern both say where labels come from', 'leave one of them out');
  }
  if (o.labels !== null && o.data === 'sample') {
    throw refused(
      '--labels names the images of --data DIR; the sample set has labels of its own',
      'give --data DIR, or leave --labels out',
    );
  }
  if (o.labelPattern !== null && o.data === 'sample') {
    throw refused(
      '--label-pattern reads labels from the file names of --data DIR; the sample set has its own',
      'give --data DIR, or leave --label-pattern out',
    );
  }
}

/** Of the options as they were given, for the defaults say nothing against each other. */
function checkValidation({ data, valid, validPct, split }: Partial<TrainingOptions>): void {
  if (valid === undefined) return;
  if (data === undefined || data === 'sample') {
    throw refused(
      '--valid names the images to validate a network on that --data DIR trains; the sample set has its own',
      'give --data DIR, or leave --valid out',
    );
  }
  if (validPct !== undefined || (split !== undefined && split !== 'auto')) {
    const option = validPct === undefined ? '--split' : '--valid-pct';
    throw refused(`--valid and ${option} both say which images to validate on`, 'leave one of them out');
  }
}

function readPretrained(value: string): string | null {
  if (value === 'none') return null;
  return value === 'imagenet' ? value : resolve(value);
}
