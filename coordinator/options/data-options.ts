import { namedData } from '../dataset/named-data.js';
import { type SplitKind, splitKinds } from '../dataset/split.js';
import { planOption, trainingOption } from './option.js';
import { capturingPattern, flag, integer, number, oneOf, path } from './value-types.js';

/** What is trained on. */
export const dataOptions = {
  /** Absolute path of a folder, a URL, 'sample', or the name of a published data set. */
  data: trainingOption({
    value: 'DIR|URL|NAME',
    text:
      'folder with one sub-folder of images per class; or what `coordinator pack` wrote, in a folder or at http(s)://… (its user, password and query are not recorded) or s3://…; or tars of WebDataset, by a folder or a pattern such as train-{000..146}.tar; or sample, which Rondo draws itself; or ' +
      describeNamedData(),
    type: path(
      'a folder, a URL, "sample", or the name of a data set',
      (name) => name === 'sample' || Object.hasOwn(namedData, name),
    ),
    default: 'sample',
  }),
  labelPattern: trainingOption<string | null>({
    value: 'REGEX',
    text: "take the label from the path instead: what the one capture group matches, such as '/([^/]+)_\\d+.jpg$'",
    type: capturingPattern,
    default: null,
    defaultText: 'none',
  }),
  labels: trainingOption<string | null>({
    value: 'FILE.csv',
    text:
      'take the labels from this file instead: columns path,label (paths inside the data folder; a header is passed ' +
      'over); images that it does not name are left out',
    type: path('a CSV file'),
    default: null,
    defaultText: 'none',
  }),
  valid: trainingOption<string | null>({
    value: 'DIR',
    text: 'folder of images to validate on, laid out as --data is',
    type: path('a folder'),
    default: null,
    defaultText: 'as --split says',
  }),
  validPct: trainingOption({
    value: 'FRACTION',
    text: 'share of the images to validate on, where they are drawn',
    type: number('a fraction above 0 and below 1, such as 0.2', (n) => n > 0 && n < 1),
    default: 0.2,
  }),
  split: trainingOption<SplitKind>({
    value: 'KIND',
    text:
      'which images validate. auto: those of a folder valid or val beside train, or of a column is_valid or split in the ' +
      'file of --labels, else random; random: a share of all; stratified: that share of each class',
    type: oneOf(splitKinds),
    default: 'auto',
  }),
  skipBroken: trainingOption({
    text: 'go on without images that cannot be used even where they are 1 % or more; quarantined.jsonl in the run lists them',
    type: flag,
    default: false,
  }),
  shuffleWindow: trainingOption({
    value: 'SHARDS',
    text:
      'of packed images: a step mixes the images of so many shards, one at least for each of its micro-batches, in a new ' +
      'order of the shards each epoch, and each is fetched whole, by the machines that compute its micro-batches; 0 mixes ' +
      'all images. `coordinator data plan` compares what they cost',
    type: integer(0, 1_000_000),
    default: 0,
    title: 'Shuffle window',
    show: (shards) => (shards === 0 ? null : `${shards} shards`),
  }),
  seed: planOption({
    value: 'N',
    text: 'decides the split, the order, the augmentation and the first weights',
    type: integer(0, 2 ** 32 - 1),
    default: 42,
    title: 'Seed',
  }),
};

function describeNamedData(): string {
  return Object.entries(namedData)
    .map(
      ([name, { title, bytes }]) =>
        `${name}, which is ${title}, fetched once (${Math.round(bytes / 1e6)} MB)`,
    )
    .join('; ');
}
