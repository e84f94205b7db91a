import type { PhaseConfig } from '../../../plan/run-config.js';
import type { RunRecord } from '../../run-store/run-directory.js';
import {
  dataEntries,
  describeRates,
  describeTrainable,
  type RecipeEntry,
  trainingEntries,
} from '../recipe-entries.js';
import { type Html, html } from './html.js';

export function recipeSection(record: RunRecord, root: string, kernels: readonly string[]): Html {
  const { config } = record;
  const entries = [
    ...dataEntries(config, root),
    ...trainingEntries(record),
    ...originEntries(record),
    // Runs from before kernels were recorded have none.
    ...kernels.map((text): RecipeEntry => ['Kernels', text]),
  ];
  return html`
<section aria-labelledby="recipe">
<h2 id="recipe">Recipe</h2>
${phasesTable(config.phases)}
<dl>${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>\n`)}</dl>
</section>`;
}

function phasesTable(phases: readonly PhaseConfig[]): Html {
  const rows = phases.map(({ name, epochs, trainable, learningRates }) => {
    return html`<tr><th scope="row">${name}</th><td class="n">${epochs}</td><td>${describeTrainable(trainable)}</td><td>${describeRates(learningRates)}</td></tr>\n`;
  });
  return html`<table class="plain">
<thead><tr><th scope="col">Phase</th><th scope="col" class="n">Epochs</th><th scope="col">Trained</th><th scope="col">Peak learning rates, early to late</th></tr></thead>
<tbody>${rows}</tbody>
</table>`;
}

function originEntries({
  createdAt,
  workers,
  versions,
  command,
  training,
  data,
  source,
}: RunRecord): RecipeEntry[] {
  return [
    ['Labels from', training.labels ?? training.labelPattern ?? 'names of folders'],
    ...(data?.validation == null ? [] : [['Validation images', data.validation] as const]),
    ...(source == null ? [] : [['Started from', source.checkpoint] as const]),
    ['Workers', String(workers)],
    ['Started', `${createdAt.slice(0, 16).replace('T', ' ')} UTC`],
    ['Versions', `Rondo ${versions.rondo}, Node ${versions.node}, ${versions.platform}`],
    ['Command', command.join(' ')],
  ];
}
