import { layerLearningRates } from '../../plan/learning-rates.js';
import { type PhaseConfig, type RunConfig, runConfigSchema } from '../../plan/run-config.js';
import type { Dataset } from '../../proto/dataset.js';
import { balanceClasses } from '../dataset/labels.js';
import { orderShards } from '../dataset/order.js';
import type { TrainingOptions } from '../options/start-schema.js';
import { plannedOptions } from '../options/training-options.js';

/** Before each of the head's two linear layers, as fastai's. */
const dropout = [0.25, 0.5] as const;

/** What both programs evaluate the plan from, frozen. */
export function buildRunConfig(
  runId: string,
  training: TrainingOptions,
  dataset: Dataset,
  pretrainedDigest: string | null,
): RunConfig {
  return runConfigSchema.parse({
    ...plannedOptions(training),
    runId,
    task: { kind: 'train' },
    classes: [...dataset.classes],
    trainCount: dataset.train.length,
    validCount: dataset.valid.length,
    datasetDigest: dataset.digest,
    order: orderOf(training, dataset),
    presize: presizeFor(training.size),
    phases: phasesFor(training),
    dropout,
    emaDecay: training.ema,
    classWeights: weighClasses(training, dataset),
    threads: training.threads ?? 1,
    lanes: training.lanes ?? 1,
    pretrainedDigest,
  });
}

/**
 * A list of so many samples for each epoch is no longer worth its memory. Below, it is: all its permutations are as
 * likely, which the network that computes one promises nothing of, and runs go on as they did before there was that.
 */
const listedSamples = 1_000_000;

/** Of a new run. Training samples are listed shard after shard where there are windows. */
export function orderOf(
  { shuffleWindow }: Pick<TrainingOptions, 'shuffleWindow'>,
  dataset: Dataset,
): RunConfig['order'] {
  if (shuffleWindow > 0) return orderShards(dataset, shuffleWindow);
  return dataset.train.length < listedSamples ? undefined : { kind: 'full', version: 1 };
}

function weighClasses({ classWeights }: TrainingOptions, { classes, train }: Dataset): number[] | null {
  if (classWeights === 'none') return null;
  return balanceClasses(
    classes.length,
    Uint32Array.from(train, ({ label }) => label),
  );
}

/**
 * About 8/7 of the input's side, at most one pixel less: 224 → 256, 96 → 112. A multiple of 4, so that a row
 * of pixels is whole words: only those reach a GPU without a detour (worker/tensorflow/ops/placeholder.ts).
 */
export function presizeFor(size: number): number {
  return 4 * Math.ceil((8 * size - 7) / 28);
}

/**
 * `lr` is the frozen epochs', `unfreezeLr` that of those after them; without frozen epochs `lr` is the only
 * one.
 */
export function phasesFor({ epochs, freezeEpochs, lr, unfreezeLr }: TrainingOptions): PhaseConfig[] {
  const phases: PhaseConfig[] = [
    { name: 'frozen', epochs: freezeEpochs, trainable: 'frozen', learningRates: layerLearningRates(lr) },
    { name: 'unfrozen', epochs, trainable: 'all', learningRates: layerLearningRates(unfreezeLr ?? lr) },
  ];
  return phases.filter((phase) => phase.epochs > 0);
}
