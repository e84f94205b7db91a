import type { RunConfig } from '../../../plan/run-config.js';
import type { EpochRecord, History } from '../../run-store/epoch-record.js';
import { distinctKernels } from '../../run-store/ledger.js';
import type { RunRecord } from '../../run-store/run-directory.js';
import { formatDuration, formatInteger, formatLoss, formatPercent } from '../../terminal/figures.js';
import type { Interpretation } from '../interpretation.js';
import { learningPanels } from '../learning-charts.js';
import { drawPanels, type Panel } from '../panel.js';
import { schedulePanels } from '../schedule-charts.js';
import { type PicturedLoss, titleOf } from '../top-losses-picture.js';
import { confusionSection, scoresSection } from './confusion-section.js';
import { type Html, html, nothing, trusted } from './html.js';
import { recipeSection } from './recipe-section.js';
import { styleSheet } from './style-sheet.js';

/** Everything that a report tells. */
export interface ReportContent {
  readonly record: RunRecord;
  readonly history: History;
  readonly interpretation: Interpretation;
  readonly losses: readonly PicturedLoss[];
  /** Which state was evaluated. */
  readonly origin: string;
  /** The data folder. */
  readonly root: string;
  /** Smallest count among the most confused. */
  readonly minCount: number;
}

const sections = [
  ['curves', 'Learning curves'],
  ['schedule', 'Schedule'],
  ['confusion', 'Confusion'],
  ['most-confused', 'Most confused'],
  ['top-losses', 'Top losses'],
  ['classes', 'By class'],
  ['recipe', 'Recipe'],
] as const;

/** The report as one HTML file that needs no other, no network and no JavaScript. */
export function renderPage({
  record,
  history,
  interpretation,
  losses,
  origin,
  root,
  minCount,
}: ReportContent): string {
  const { runId, config } = record;
  const links = sections.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${runId}: interpretation</title>
<style>${trusted(styleSheet)}</style>
</head>
<body>
<header>
<p class="over">Rondo · interpretation</p>
<h1>${runId}</h1>
<p class="lead">${config.arch} at ${config.size} px, ${config.classes.length} classes, evaluated ${origin} on ${formatInteger(interpretation.images)} validation images.</p>
${headline(interpretation)}
<nav aria-label="Contents"><ul>${links}</ul></nav>
</header>
<main>${curvesSection(config, history)}${confusionSection(interpretation, minCount)}${lossesSection(losses, config.classes)}${scoresSection(interpretation)}${recipeSection(record, root, distinctKernels(history.workers))}
</main>
</body>
</html>
`.markup;
}

function headline(interpretation: Interpretation): Html {
  const { errorRate, validLoss, errors, images, balancedError, macroF1, top5Error } = interpretation;
  const accuracy = errorRate === null ? null : 1 - errorRate;
  const figures: [string, string][] = [
    ['error rate', formatPercent(errorRate, 2)],
    ['accuracy', formatPercent(accuracy, 2)],
    ['balanced error', formatPercent(balancedError, 2)],
    ['macro F1', formatLoss(macroF1, 4)],
    ['top-5 error', formatPercent(top5Error, 2)],
    ['validation loss', formatLoss(validLoss, 4)],
    ['wrong', `${formatInteger(errors)} of ${formatInteger(images)}`],
  ];
  return html`<dl class="headline">${figures.map(([name, figure]) => html`<div><dt>${name}</dt><dd>${figure}</dd></div>`)}</dl>`;
}

function curvesSection(config: RunConfig, history: History): Html {
  return html`
<section aria-labelledby="curves">
<h2 id="curves">Learning curves</h2>
<div class="charts">${learningPanels(config, history).map(chart)}</div>
${epochTable(history.epochs)}
</section>
<section aria-labelledby="schedule">
<h2 id="schedule">Schedule</h2>
<div class="charts">${schedulePanels(config).map(chart)}</div>
</section>`;
}

function chart(panel: Panel): Html {
  return html`<div class="chart">${trusted(drawPanels(panel.title, [panel]))}</div>\n`;
}

function epochTable(epochs: readonly EpochRecord[]): Html {
  const rows = epochs.map(
    (record) =>
      html`<tr><th scope="row" class="n">${record.epoch}</th><td class="n">${formatLoss(record.train_loss, 4)}</td><td class="n">${formatLoss(record.valid_loss, 4)}</td><td class="n">${formatLoss(record.error_rate, 4)}</td><td class="n">${formatLoss(record.balanced_error, 4)}</td><td class="n">${formatLoss(record.macro_f1, 4)}</td><td class="n">${formatLoss(record.top5_error, 4)}</td><td class="n">${formatDuration(record.seconds)}</td><td class="n">${record.imagesPerSecond.toFixed(1)}</td></tr>\n`,
  );
  const measures = ['train_loss', 'valid_loss', 'error_rate', 'balanced_error', 'macro_f1', 'top5_error'];
  const titles = ['epoch', ...measures, 'time', 'images/s'];
  const table = html`<div class="scroll"><table class="plain figures">
<thead><tr>${titles.map((title) => html`<th scope="col" class="n">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
  return html`<details${trusted(epochs.length <= 12 ? ' open' : '')}><summary>Table of epochs</summary>${table}</details>`;
}

function lossesSection(losses: readonly PicturedLoss[], classes: readonly string[]): Html {
  const order = html`<b>prediction</b> / actual / loss / probability of the actual class`;
  return html`
<section aria-labelledby="top-losses">
<h2 id="top-losses">Top losses</h2>
<p class="note">The images that surprised the network most: ${order}.</p>
<ol class="pictures">${losses.map((loss) => pictureItem(loss, classes))}</ol>
</section>`;
}

function pictureItem(loss: PicturedLoss, classes: readonly string[]): Html {
  const kind = loss.predicted === loss.actual ? 'right' : 'wrong';
  const [predicted, actual] = [classes[loss.predicted]!, classes[loss.actual]!];
  return html`<li><figure>${picture(loss, titleOf(loss, classes))}
<figcaption><b class="${kind}">${breakable(predicted)}</b> / ${breakable(actual)} / <span>${formatLoss(loss.loss)} / ${formatLoss(loss.probability)}</span><small>${loss.path}</small></figcaption></figure></li>
`;
}

/** Long names of several words may go on in the next line between two of them. */
function breakable(name: string): readonly Html[] {
  return name.split(/(?<=_)/).flatMap((word, index) => [index === 0 ? nothing : html`<wbr>`, html`${word}`]);
}

function picture({ thumbnail }: PicturedLoss, title: string): Html {
  if (thumbnail === null) return html`<div class="missing">the image cannot be read any more</div>`;
  const source = `data:image/jpeg;base64,${thumbnail.toString('base64')}`;
  return html`<img src="${source}" alt="${title}" width="288" height="288">`;
}
