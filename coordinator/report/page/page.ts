import type { History } from '../../run-store/epoch-record.js';
import { distinctKernels } from '../../run-store/kernels.js';
import type { RunRecord } from '../../run-store/run-directory.js';
import { formatInteger, formatLoss, formatPercent } from '../../terminal/figures.js';
import type { Interpretation } from '../interpretation.js';
import type { PicturedLoss } from '../top-losses-picture.js';
import { confusionSection } from './confusion-section.js';
import { curvesSection } from './curves-section.js';
import { type Html, html, trusted } from './html.js';
import { lossesSection } from './losses-section.js';
import { recipeSection } from './recipe-section.js';
import { scoresSection } from './scores-section.js';
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
