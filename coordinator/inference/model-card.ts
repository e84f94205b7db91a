import { basename } from 'node:path';
import type { PhaseConfig } from '../../plan/run-config.js';
import type { ExportFormat } from '../../proto/jobs.js';
import { printable } from '../../runtime/printable.js';
import { type ChosenCheckpoint, describeSkipped } from '../checkpoints/choose-checkpoint.js';
import {
  dataEntries,
  describeRates,
  describeTrainable,
  type RecipeEntry,
  trainingEntries,
} from '../report/recipe-entries.js';
import type { RunRecord } from '../run-store/run-directory.js';
import { formatInteger, formatPercent, noFigure } from '../terminal/figures.js';
import { safetensorsUsage, savedModelUsage } from './usage.js';

export interface Exported {
  readonly directory: string;
  /** The network's own file, in it. */
  readonly file: string;
  readonly bytes: number;
  /** SHA-256 of the file. */
  readonly digest: string;
  readonly parameters: number;
}

export interface ModelCardOptions {
  readonly record: RunRecord;
  readonly checkpoint: ChosenCheckpoint;
  readonly format: ExportFormat;
  readonly exported: Exported;
}

/** What users of the network should know of it, as Markdown: data, recipe, results, use, digests. */
export function writeModelCard({ record, checkpoint, format, exported }: ModelCardOptions): string {
  const { config, training } = record;
  const usage = format === 'saved-model' ? savedModelUsage(config) : safetensorsUsage(config);
  return [
    `# ${record.runId}`,
    `An image classifier: ${config.arch}, ${formatInteger(exported.parameters)} parameters, ${config.classes.length} classes, ` +
      `trained with Rondo ${record.versions.rondo}.`,
    '## Classes',
    config.classes.map((name) => escapeMarkdown(name)).join(', '),
    '## Data',
    // The name alone: the path on the author's disk is private.
    table(dataEntries(config, basename(training.data))),
    `Labels come from ${describeLabels(training)}. The images to validate on: ${escapeMarkdown(describeValidation(record))}.`,
    '## Recipe',
    phasesTable(config.phases),
    table(trainingEntries(record)),
    '## Results',
    describeResults(checkpoint),
    usage.trim(),
    '## Digests',
    table([
      [`SHA-256 of ${exported.file}`, exported.digest],
      ['SHA-256 of the network’s values', checkpoint.record.parameterDigest],
      ['data', config.datasetDigest],
    ]),
    '',
  ].join('\n\n');
}

function describeResults(checkpoint: ChosenCheckpoint): string {
  const { name, record, epoch } = checkpoint;
  const skipped = describeSkipped(checkpoint);
  const taken = `Checkpoint ${name}, after ${formatInteger(record.step)} steps.`;
  const where = skipped === null ? taken : `${taken} ${skipped}.`;
  if (epoch === null) return `${where} Its network was not measured on the validation images.`;
  const figure = (value: number | null) => value?.toFixed(4) ?? noFigure;
  return `${where} On the validation images:\n\n${table([
    ['error rate', figure(epoch.error_rate)],
    ['accuracy', figure(epoch.error_rate === null ? null : 1 - epoch.error_rate)],
    ['balanced error', figure(epoch.balanced_error)],
    ['macro F1', figure(epoch.macro_f1)],
    ['top-5 error', figure(epoch.top5_error)],
    ['loss', figure(epoch.valid_loss)],
    ['training loss, smoothed', figure(epoch.train_loss)],
  ])}`;
}

function describeLabels({ labelPattern: pattern, labels }: RunRecord['training']): string {
  if (labels != null) return `the file ${escapeMarkdown(basename(labels))}`;
  return pattern === null ? "the names of the images' folders" : `the paths of the images, by \`${pattern}\``;
}

function describeValidation({ data, training, config }: RunRecord): string {
  // The name alone of a folder, as of the data's.
  if (training.valid != null) return `the folder ${basename(training.valid)}`;
  return data?.validation ?? `${formatPercent(training.validPct, 0)} drawn at random (seed ${config.seed})`;
}

function phasesTable(phases: readonly PhaseConfig[]): string {
  const rows = phases.map(
    ({ name, epochs, trainable, learningRates }) =>
      `| ${name} | ${epochs} | ${describeTrainable(trainable)} | ${describeRates(learningRates)} |`,
  );
  return [
    '| phase | epochs | trained | peak learning rates, early to late |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function table(entries: readonly RecipeEntry[]): string {
  return [
    '| | |',
    '|---|---|',
    ...entries.map(([name, value]) => `| ${name} | ${escapeMarkdown(value)} |`),
  ].join('\n');
}

function escapeMarkdown(text: string): string {
  return printable(text).replace(/[\\|`*_[\]<>#]/g, '\\$&');
}
