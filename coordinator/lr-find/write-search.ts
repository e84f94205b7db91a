import { join } from 'node:path';
import { planRates } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import { writeDurably } from '../../runtime/durable-file.js';
import { makeFolder } from '../../runtime/make-folder.js';
import type { TrainingOptions } from '../options/start-schema.js';
import { renderPng } from '../report/charts/svg.js';
import { drawRateCurve } from './curve-picture.js';
import type { RateSearch } from './find-rates.js';

export interface SearchFiles {
  readonly json: string;
  readonly svg: string;
  readonly png: string;
}

/**
 * Writes lr-find.json (every point), lr-find.svg and lr-find.png into `folder`, in place of those of an
 * earlier search.
 */
export async function writeSearch(
  folder: string,
  search: RateSearch,
  training: TrainingOptions,
): Promise<SearchFiles> {
  const { config, points, suggestions } = search;
  const svg = drawRateCurve(points, suggestions, describeSearch(config, points.length));
  const stem = join(folder, 'lr-find');
  const files = { json: `${stem}.json`, svg: `${stem}.svg`, png: `${stem}.png` };
  makeFolder(folder);
  await writeDurably(files.json, [`${JSON.stringify(recordOf(search, training), null, 2)}\n`]);
  await writeDurably(files.svg, [svg]);
  await writeDurably(files.png, [await renderPng(svg)]);
  return files;
}

function recordOf(
  { config, points, suggestions, diverged, stateDigest }: RateSearch,
  training: TrainingOptions,
) {
  return {
    training,
    task: config.task,
    trainable: config.phases[0]!.trainable,
    suggestions,
    diverged,
    stateDigest,
    points: points.map((point) => ({
      ...point,
      learningRates: planRates(config, point.step).learningRates,
    })),
  };
}

/** Under the drawing's title. */
function describeSearch({ arch, size, phases, trainCount, batchSize }: RunConfig, steps: number): string {
  const trained = phases[0]!.trainable === 'frozen' ? 'head only' : 'all layers';
  return `${arch} at ${size} px, ${trained} · ${trainCount} images · ${steps} steps of ${batchSize}`;
}
