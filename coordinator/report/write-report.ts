import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../../proto/dataset.js';
import { replaceFolder, temporaryName } from '../../runtime/durable-file.js';
import { briefWaitsMs } from '../../runtime/read-file.js';
import type { Sample } from '../../runtime/storage/sample-columns.js';
import { openSampleReader } from '../../runtime/storage/sample-reader.js';
import type { EvaluationResult } from '../membership/cluster-events.js';
import type { History } from '../run-store/epoch-record.js';
import { type RunDirectory, readRunRecord } from '../run-store/run-directory.js';
import { renderPng } from './charts/svg.js';
import { drawConfusion } from './confusion-picture.js';
import { type Interpretation, type InterpretOptions, interpret } from './interpretation.js';
import { learningPanels } from './learning-charts.js';
import { renderPage } from './page/page.js';
import { drawPanels } from './panel.js';
import { encodePredictions, type InterpretationRecord, recordInterpretation } from './record-files.js';
import { schedulePanels } from './schedule-charts.js';
import { drawTopLosses, type PicturedLoss, readThumbnail } from './top-losses-picture.js';

export interface ReportRequest extends InterpretOptions {
  readonly directory: RunDirectory;
  readonly history: History;
  /** The data set whose validation samples were evaluated. */
  readonly dataset: Pick<Dataset, 'root' | 'validRoot' | 'shards' | 'valid'>;
  readonly evaluation: Omit<EvaluationResult, 'epoch' | 'step'>;
  /** Which state was evaluated, such as "after epoch 3". */
  readonly origin: string;
}

export interface WrittenReport {
  /** Of the page. */
  readonly index: string;
  readonly interpretation: Interpretation;
  /** What interpretation.json holds. */
  readonly figures: InterpretationRecord;
  /** Top losses whose image could not be read. */
  readonly unreadable: readonly string[];
}

export const reportDefaults: InterpretOptions = { topCount: 12, minCount: 2 };

/**
 * Writes RUN/report, in place of one that is there: the page, its charts as PNG, every prediction, and the
 * figures as JSON. The folder appears whole or not at all.
 */
export async function writeReport(request: ReportRequest): Promise<WrittenReport> {
  const { directory, history, dataset, evaluation, origin, minCount } = request;
  const { valid } = dataset;
  const root = dataset.validRoot ?? dataset.root;
  const record = readRunRecord(directory);
  const { config } = record;
  const { sampleIds, predictions, losses, labelRanks, probabilities } = evaluation;
  const samples = Array.from(sampleIds, (id) => valid.at(id)!);
  const evaluated = {
    classes: config.classes,
    classWeights: config.classWeights,
    paths: samples.map(({ path }) => path),
    labels: samples.map(({ label }) => label),
    predictions,
    losses,
    labelRanks,
    probabilities,
  };
  const interpretation = interpret(evaluated, request);
  const pictured = await readThumbnails(interpretation.topLosses, samples, root, dataset.shards);
  const content = { record, history, interpretation, losses: pictured, origin, root, minCount };
  const [confusion, curves, schedule, topLosses] = await Promise.all([
    renderPng(drawConfusion(interpretation)),
    renderPng(drawPanels('Learning curves', learningPanels(config, history))),
    renderPng(drawPanels('Schedule', schedulePanels(config))),
    drawTopLosses(pictured, config.classes),
  ]);
  const figures = recordInterpretation(config, origin, interpretation);
  await writeFolder(directory.report, {
    'index.html': renderPage(content),
    'predictions.jsonl': encodePredictions(evaluated),
    'interpretation.json': `${JSON.stringify(figures, null, 2)}\n`,
    'confusion-matrix.png': confusion,
    'learning-curves.png': curves,
    'schedule.png': schedule,
    'top-losses.png': topLosses,
  });
  return {
    index: join(directory.report, 'index.html'),
    interpretation,
    figures,
    unreadable: pictured.filter(({ thumbnail }) => thumbnail === null).map(({ path }) => path),
  };
}

/** `losses` with their pictures, which are among `samples`. */
async function readThumbnails(
  losses: Interpretation['topLosses'],
  samples: readonly Sample[],
  root: string,
  shards: Dataset['shards'],
): Promise<PicturedLoss[]> {
  const byPath = new Map(samples.map((sample) => [sample.path, sample]));
  const reader = openSampleReader(root, shards?.shards ?? [], { waitsMs: briefWaitsMs });
  try {
    const pictured = losses.map(async (loss) => ({
      ...loss,
      thumbnail: await readThumbnail(() => reader.read(byPath.get(loss.path)!)),
    }));
    return await Promise.all(pictured);
  } finally {
    await reader.close();
  }
}

/** Readers of the folder that is replaced see it until the new one is whole. */
async function writeFolder(
  folder: string,
  files: Readonly<Record<string, string | Buffer | Iterable<string>>>,
): Promise<void> {
  const temporary = temporaryName(folder);
  try {
    await mkdir(temporary);
    for (const [name, content] of Object.entries(files)) await writeFile(join(temporary, name), content);
    await replaceFolder(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}
