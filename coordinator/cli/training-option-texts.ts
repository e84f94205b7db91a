import { archs } from '../../plan/run-config.js';
import { namedData } from '../dataset/named-data.js';
import { defaults, fineTuning, recipes } from '../options/defaults.js';
import { epochMeasures, type StartOptionName } from '../options/start-schema.js';

/** What the help says of an option. */
export interface OptionText {
  readonly group: string;
  /** How the value is called in help; none for a flag. */
  readonly value?: string;
  readonly text: string;
}

const { sample, folder } = recipes;

/** The help's headings, in its order. */
export const groups = {
  data: 'Data:',
  network: 'Network:',
  recipe: 'Recipe:',
  cluster: 'Workers and addresses:',
  run: 'Run and output:',
} as const;

/** The options that decide what is trained, in the order of the help. */
export const trainingOptionTexts = {
  data: {
    group: groups.data,
    value: 'DIR|NAME',
    text:
      'folder with one sub-folder of images per class; or sample, which Rondo draws itself; or ' +
      `${describeNamedData()} (default: sample)`,
  },
  'label-pattern': {
    group: groups.data,
    value: 'REGEX',
    text: "take the label from the path instead: what the one capture group matches, such as '/([^/]+)_\\d+.jpg$'",
  },
  labels: {
    group: groups.data,
    value: 'FILE.csv',
    text:
      'take the labels from this file instead: columns path,label (paths inside the data folder; a header is passed ' +
      'over); images that it does not name are left out',
  },
  valid: {
    group: groups.data,
    value: 'DIR',
    text: 'folder of images to validate on, laid out as --data is (default: as --split says)',
  },
  'valid-pct': {
    group: groups.data,
    value: 'FRACTION',
    text: `share of the images to validate on, where they are drawn (default: ${defaults.validPct})`,
  },
  split: {
    group: groups.data,
    value: 'KIND',
    text:
      'which images validate. auto: those of a folder valid or val beside train, or of a column is_valid or split in the ' +
      'file of --labels, else random; random: a share of all; stratified: that share of each class ' +
      `(default: ${defaults.split})`,
  },
  'skip-broken': {
    group: groups.data,
    text: 'go on without images that cannot be used even where they are 1 % or more; quarantined.jsonl in the run lists them',
  },
  seed: {
    group: groups.data,
    value: 'N',
    text: `decides the split, the order, the augmentation and the first weights (default: ${defaults.seed})`,
  },
  arch: { group: groups.network, value: 'NAME', text: `${archs.join(', ')} (default: ${defaults.arch})` },
  head: {
    group: groups.network,
    value: 'KIND',
    text:
      "fastai's head of two linear layers; or linear, torchvision's single one, which an ImageNet file fills only where " +
      `the classes are as many (default: ${defaults.head})`,
  },
  size: {
    group: groups.network,
    value: 'PIXELS',
    text: `side of the network's input (default: ${folder.size}; sample: ${sample.size})`,
  },
  pretrained: {
    group: groups.network,
    value: 'FILE|imagenet|none',
    text:
      "weights to begin with: imagenet fetches torchvision's for --arch, once; FILE is a safetensors file or a PyTorch " +
      'checkpoint (.pth) with its names, under any prefix or key (default: none, from scratch)',
  },
  from: {
    group: groups.network,
    value: 'RUN|CHECKPOINT',
    text:
      'weights to begin with: those of another run, such as runs/first-try/checkpoints/stage-1, or its best ones; ' +
      'the head too, when the classes are the same',
  },
  precision: {
    group: groups.network,
    value: 'TYPE',
    text: `what the network computes in: float32 or bfloat16 (default: ${defaults.precision})`,
  },
  augment: {
    group: groups.recipe,
    value: 'KIND',
    text:
      "what is done to training images: fastai, the lesson's transforms; flip, left-right and a random crop of the long " +
      `side alone; none, the middle of each (default: ${defaults.augment}). \`coordinator show-batch\` shows it`,
  },
  'batch-size': {
    group: groups.recipe,
    value: 'N',
    text: `images of a step over all workers (default: ${perRecipe('batchSize')})`,
  },
  'micro-batch': {
    group: groups.recipe,
    value: 'N',
    text: `images of one forward and backward pass; a step's are shared among the workers (default: ${perRecipe('microBatch')})`,
  },
  epochs: {
    group: groups.recipe,
    value: 'N',
    text: `epochs that train all layers (default: ${folder.epochs}; sample: ${sample.epochs}; pretrained: ${fineTuning.epochs})`,
  },
  'freeze-epochs': {
    group: groups.recipe,
    value: 'N',
    text: `epochs before them that train the head only (default: ${fineTuning.freezeEpochs} with --pretrained or --from, else 0)`,
  },
  lr: {
    group: groups.recipe,
    value: 'LR|MIN,MAX|,MAX',
    text:
      'peak learning rate of the first phase: of the frozen epochs when there are any, else of those that train all ' +
      "layers; MIN,MAX spreads it geometrically over early to late layers, as fastai's slice(MIN, MAX); ,MAX gives the " +
      'head MAX and the layers before it a tenth of that, as slice(MAX) ' +
      `(default: ${folder.lr}; frozen epochs: ,${fineTuning.frozenLr.max}; ` +
      `pretrained without frozen epochs: ${fineTuning.lr.min},${fineTuning.lr.max})`,
  },
  'unfreeze-lr': {
    group: groups.recipe,
    value: 'LR|MIN,MAX|,MAX',
    text:
      'peak learning rate of the epochs that train all layers after frozen ones, given as --lr is ' +
      `(default: ${fineTuning.lr.min},${fineTuning.lr.max})`,
  },
  'weight-decay': {
    group: groups.recipe,
    value: 'WD',
    text: `decoupled weight decay (default: ${defaults.weightDecay})`,
  },
  'class-weights': {
    group: groups.recipe,
    value: 'KIND',
    text:
      'balanced weighs the loss so that classes with few images count as much as those with many; none counts images ' +
      `(default: ${defaults.classWeights})`,
  },
  'label-smoothing': {
    group: groups.recipe,
    value: 'SHARE',
    text: `share of each label that is spread over all classes, such as 0.1 (default: ${defaults.labelSmoothing})`,
  },
  mixup: {
    group: groups.recipe,
    value: 'ALPHA',
    text: `mixes each image and label with another's, by a share drawn from Beta(ALPHA, ALPHA), such as 0.4 (default: ${defaults.mixup}, none)`,
  },
  'clip-norm': {
    group: groups.recipe,
    value: 'NORM',
    text: "largest norm of a step's gradient over all parameters (default: none)",
  },
  ema: {
    group: groups.recipe,
    value: 'DECAY',
    text:
      'validates, predicts and exports with a moving average of the weights that keeps DECAY of itself at each step, ' +
      'less in the first ones (default: none)',
  },
  'early-stopping': {
    group: groups.recipe,
    value: 'EPOCHS',
    text:
      'ends a phase after so many of its epochs without a lower valid_loss; frozen epochs are followed by those that train ' +
      'all layers, and these end the run (default: never)',
  },
  'keep-best': {
    group: groups.run,
    value: 'MEASURE',
    text:
      `marks the checkpoint of the epoch that is best by ${epochMeasures.slice(0, -1).join(', ')} or ` +
      `${epochMeasures.at(-1)} as checkpoints/best ` +
      '(default: valid_loss with --early-stopping, else none)',
  },
} satisfies Partial<Record<StartOptionName, OptionText>>;

function perRecipe(key: 'batchSize' | 'microBatch'): string {
  return sample[key] === folder[key] ? String(folder[key]) : `${folder[key]}; sample: ${sample[key]}`;
}

function describeNamedData(): string {
  return Object.entries(namedData)
    .map(
      ([name, { title, bytes }]) =>
        `${name}, which is ${title}, fetched once (${Math.round(bytes / 1e6)} MB)`,
    )
    .join('; ');
}
