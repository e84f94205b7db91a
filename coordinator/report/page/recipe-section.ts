import { totalSteps } from '../../../plan/phases.js';
import type { PhaseConfig, RunConfig } from '../../../plan/run-config.js';
import type { RunRecord } from '../../run/run-directory.js';
import { formatInteger, formatRate } from '../figure-text.js';
import { type Html, html } from './html.js';

type Entry = readonly [name: string, value: string];

export function recipeSection(record: RunRecord, root: string): Html {
  const { config } = record;
  const entries = [...dataEntries(config, root), ...networkEntries(config), ...trainingEntries(config)];
  return html`
<section aria-labelledby="recipe">
<h2 id="recipe">Recipe</h2>
${phasesTable(config.phases)}
<dl>${[...entries, ...originEntries(record)].map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`)}</dl>
</section>`;
}

function phasesTable(phases: readonly PhaseConfig[]): Html {
  const rows = phases.map(({ name, epochs, trainable, learningRates }) => {
    const rates = new Set(learningRates).size === 1 ? learningRates.slice(0, 1) : learningRates;
    const trained = trainable === 'all' ? 'all layers' : 'head and batch norm';
    return html`<tr><th scope="row">${name}</th><td class="n">${epochs}</td><td>${trained}</td><td>${rates.map(formatRate).join(', ')}</td></tr>\n`;
  });
  return html`<table class="plain">
<thead><tr><th scope="col">Phase</th><th scope="col" class="n">Epochs</th><th scope="col">Trained</th><th scope="col">Peak learning rates, early to late</th></tr></thead>
<tbody>${rows}</tbody>
</table>`;
}

function dataEntries(config: RunConfig, root: string): Entry[] {
  return [
    ['Data', root],
    ['Classes', formatInteger(config.classes.length)],
    ['Training images', formatInteger(config.trainCount)],
    ['Validation images', formatInteger(config.validCount)],
    ['Data digest', config.datasetDigest.slice(0, 16)],
    ['Augmentation', config.augment],
  ];
}

function networkEntries({ arch, head, size, dropout, pretrainedDigest, precision }: RunConfig): Entry[] {
  return [
    ['Network', arch],
    ['Head', head],
    ['Input', `${size} × ${size} px`],
    ['Dropout', dropout.join(', ')],
    ['Begun with', pretrainedDigest === null ? 'random weights' : `weights ${pretrainedDigest.slice(0, 16)}`],
    ['Computed in', precision],
  ];
}

/** What was not asked for is left out. */
function trainingEntries(config: RunConfig): Entry[] {
  const { labelSmoothing, clipNorm, emaDecay, mixup, classWeights } = config;
  const optional: [string, string | null][] = [
    ['Label smoothing', labelSmoothing > 0 ? String(labelSmoothing) : null],
    ['Gradient clipping', clipNorm === null ? null : `global norm ${clipNorm}`],
    ['Average of weights', emaDecay === null ? null : `decay ${emaDecay}`],
    ['Mixup', mixup > 0 ? `α ${mixup}` : null],
    ['Class weights', classWeights === null ? null : 'balanced'],
  ];
  return [
    ['Batch', `${config.batchSize} images in micro-batches of ${config.microBatch}`],
    ['Steps', formatInteger(totalSteps(config))],
    ['Weight decay', String(config.weightDecay)],
    ['Seed', String(config.seed)],
    ...optional.filter((entry): entry is [string, string] => entry[1] !== null),
  ];
}

function originEntries({ createdAt, workers, versions, command }: RunRecord): Entry[] {
  return [
    ['Workers', String(workers)],
    ['Started', `${createdAt.slice(0, 16).replace('T', ' ')} UTC`],
    ['Versions', `Rondo ${versions.rondo}, Node ${versions.node}, ${versions.platform}`],
    ['Command', command.join(' ')],
  ];
}
