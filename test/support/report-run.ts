import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ReportRequest } from '../../coordinator/report/write-report.js';
import type { History } from '../../coordinator/run-store/epoch-record.js';
import { type RunRecord, runDirectoryAt } from '../../coordinator/run-store/run-directory.js';
import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { totalSteps } from '../../plan/phases.js';
import { openStream } from '../../plan/random.js';
import type { RunConfig } from '../../plan/run-config.js';
import { jpegBytes, sha256, writeFiles } from './images.js';
import { fakeKernels } from './kernels.js';
import { lossOf, tinyConfig } from './tiny-run.js';

/** Names that would break a page that did not escape them. */
export const roughClasses = ['<b>&"bold"', "it's", '</style><script>', 'plain_old_name', 'ünï'];

export function reportConfig(changes: Partial<RunConfig> = {}): RunConfig {
  return tinyConfig({ runId: 'a <run> & "more"', classes: roughClasses, validCount: 40, ...changes });
}

export function recordOf(config: RunConfig): RunRecord {
  return {
    runId: config.runId,
    createdAt: '2026-01-02T03:04:05.000Z',
    command: ['node', 'coordinator', 'start', '--data', '<photos>'],
    versions: { rondo: '0.1.0', node: '20.0.0', platform: 'linux 6' },
    workers: 2,
    training: { arch: config.arch } as RunRecord['training'],
    source: null,
    datasetDigest: config.datasetDigest,
    config,
  };
}

/** A run to its end. */
export function historyOf(config: RunConfig): History {
  const perEpoch = stepsPerEpoch(config);
  const steps = Array.from({ length: totalSteps(config) }, (_, step) => ({
    step,
    loss: lossOf(step),
    samples: config.batchSize,
    skipped: false,
    seconds: 0.5,
  }));
  const epochs = Array.from({ length: steps.length / perEpoch }, (_, epoch) => ({
    epoch,
    train_loss: 1 / (epoch + 1),
    valid_loss: 1.5 / (epoch + 1),
    error_rate: 0.5 / (epoch + 1),
    balanced_error: 0.6 / (epoch + 1),
    macro_f1: 1 - 0.7 / (epoch + 1),
    top5_error: 0,
    seconds: 61,
    imagesPerSecond: 99.5,
  }));
  return { steps, epochs, workers: [{ kernels: { ...fakeKernels, oneDnn: true } }] };
}

/** Random labels, predictions and losses, the same for the same seed. */
export function randomEvaluatedSet(seed: number, count: number, classes: readonly string[]) {
  const random = openStream(seed, 'augmentation', 0, 0);
  const pick = () => Math.min(classes.length - 1, Math.floor(random.uniform(0, classes.length)));
  const labels = Array.from({ length: count }, pick);
  const predictions = Uint32Array.from(labels, (label) => (random.uniform(0, 1) < 0.6 ? label : pick()));
  const losses = Float32Array.from(labels, () => random.uniform(0, 5));
  const probabilities = losses.map((loss) => Math.exp(-loss));
  const labelRanks = predictions.map((prediction, index) =>
    prediction === labels[index] ? 0 : 1 + (index % 7),
  );
  const paths = labels.map((label, index) => `class-${label}/${index} & more.jpg`);
  return { classes, classWeights: null, paths, labels, predictions, losses, labelRanks, probabilities };
}

/** A run's folder with images beside it, and what to report of it. */
export async function makeReportRequest(folder: string, config = reportConfig()): Promise<ReportRequest> {
  const directory = runDirectoryAt(path.join(folder, 'run'));
  mkdirSync(directory.path);
  writeFileSync(directory.record, JSON.stringify(recordOf(config)));
  const root = path.join(folder, 'data');
  const evaluated = randomEvaluatedSet(5, config.validCount, config.classes);
  const { paths, labels, predictions, losses, labelRanks, probabilities } = evaluated;
  const bytes = await jpegBytes();
  await writeFiles(root, Object.fromEntries(paths.map((name) => [name, bytes])));
  return {
    directory,
    history: historyOf(config),
    dataset: {
      root,
      valid: paths.map((name, id) => ({
        ...{ path: name, label: labels[id]!, width: 64, height: 64, digest: sha256(bytes) },
      })),
    },
    evaluation: {
      sampleIds: Uint32Array.from(labels, (_, id) => id),
      predictions,
      losses,
      labelRanks,
      probabilities,
    },
    origin: 'after epoch 3',
    topCount: 6,
    minCount: 1,
  };
}
