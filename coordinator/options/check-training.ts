import { refused } from './option.js';
import type { ParsedStart, TrainingOptions } from './start-schema.js';

/** Throws invalid-argument for options that cannot be together. */
export function checkTraining(o: TrainingOptions): void {
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
export function checkValidation({ data, valid, validPct, split }: ParsedStart): void {
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
