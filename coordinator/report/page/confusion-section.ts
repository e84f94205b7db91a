import { type ClassScore, supportOf } from '../../run-store/measures.js';
import { formatCount, formatInteger, formatPercent, noFigure } from '../../terminal/figures.js';
import {
  type ConfusionExcerpt,
  type ConfusionRow,
  describeExcerpt,
  excerptConfusion,
  mostWhole,
} from '../confusion-excerpt.js';
import { strength } from '../confusion-picture.js';
import type { Interpretation } from '../interpretation.js';
import { type Html, html, nothing } from './html.js';

/** The longest list of pairs; interpretation.json has all of them. */
const mostPairs = 25;
/** Of more classes than the matrix shows whole, the rows of scores. */
const mostScores = 50;
/** From this strength of its colour on, a cell is written in the paper's colour. */
const deepFrom = 0.62;

export function confusionSection(interpretation: Interpretation, minCount: number): Html {
  const excerpt = excerptConfusion(interpretation);
  return html`
<section aria-labelledby="confusion">
<h2 id="confusion">Confusion</h2>
<p class="note">Rows are the actual class, columns the predicted one. Blue is right, orange is wrong; the deeper, the larger the share of its row. ${describeExcerpt(excerpt, interpretation.classes)}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">${matrixTable(interpretation, excerpt)}</div>
</section>
<section aria-labelledby="most-confused">
<h2 id="most-confused">Most confused</h2>
${pairsTable(interpretation, minCount)}
</section>`;
}

function matrixTable({ classes }: Interpretation, { shown, whole, rows }: ConfusionExcerpt): Html {
  const density = shown.length <= 12 ? 'roomy' : shown.length <= 24 ? 'close' : 'dense';
  const titles = [...shown.map((label) => classes[label]!), ...(whole ? [] : ['others'])];
  const names = titles.map((name) => html`<th scope="col"><span>${name}</span></th>`);
  return html`<table class="matrix ${density}">
<caption class="unseen">Confusion matrix: rows actual, columns predicted</caption>
<thead><tr><td></td>${names}</tr></thead>
<tbody>${rows.map((row) => matrixRow(classes, shown, row, whole))}</tbody>
</table>`;
}

function matrixRow(
  classes: readonly string[],
  shown: readonly number[],
  { actual, support, counts, others }: ConfusionRow,
  whole: boolean,
): Html {
  const cell = (count: number, kind: 'right' | 'wrong', said: string) => {
    if (count === 0) return html`<td class="none">0</td>`;
    const alpha = strength(count, support);
    const deep = alpha > deepFrom ? ' deep' : '';
    return html`<td class="${kind}${deep}" style="--a:${alpha.toFixed(2)}" title="${classes[actual]} ${said}: ${count} of ${support}">${count}</td>`;
  };
  const cells = counts.map((count, column) => {
    const predicted = shown[column]!;
    return predicted === actual
      ? cell(count, 'right', 'recognised')
      : cell(count, 'wrong', `taken for ${classes[predicted]}`);
  });
  const last = whole ? nothing : cell(others, 'wrong', 'taken for others');
  return html`<tr><th scope="row">${classes[actual]!}</th>${cells}${last}</tr>\n`;
}

function pairsTable({ classes, confusion, mostConfused, errors }: Interpretation, minCount: number): Html {
  if (mostConfused.length === 0) {
    const text =
      errors === 0 ? 'Every image was recognised.' : `No pair was confused ${minCount} times or more.`;
    return html`<p class="note">${text}</p>`;
  }
  const shown = mostConfused.slice(0, mostPairs);
  const rows = shown.map(({ actual, predicted, count }) => {
    const support = supportOf(confusion[actual]!);
    return html`<tr><th scope="row">${classes[actual]!}</th><td>${classes[predicted]!}</td><td class="n">${count}</td>${shareCell(count / support, 'wrong')}</tr>\n`;
  });
  const covered = shown.reduce((sum, { count }) => sum + count, 0);
  const left = mostConfused.length - shown.length;
  const rest =
    left === 0
      ? nothing
      : html`<p class="note">${formatCount(left, 'more pair')} in interpretation.json.</p>`;
  return html`<p class="note">Pairs confused ${minCount === 1 ? 'at least once' : `at least ${minCount} times`}: ${formatInteger(covered)} of ${formatCount(errors, 'error')}.</p>
<table class="plain">
<thead><tr><th scope="col">Actual</th><th scope="col">Taken for</th><th scope="col" class="n">Images</th><th scope="col" class="n">Share of the class</th></tr></thead>
<tbody>${rows}</tbody>
</table>${rest}`;
}

/** A percentage with a bar behind it. */
function shareCell(share: number | null, kind: 'right' | 'wrong'): Html {
  const width = share === null ? 0 : 100 * share;
  return html`<td class="n bar ${kind}" style="--w:${width.toFixed(1)}%">${formatPercent(share)}</td>`;
}

export function scoresSection({ classes, scores }: Interpretation): Html {
  const ranked = scores.map((score, label) => ({ ...score, label }));
  const all = classes.length <= mostWhole;
  const shown = all ? ranked : ranked.sort(byScore).slice(0, mostScores);
  const rows = shown.map(
    ({ support, predicted, precision, recall, f1, label }) => html`<tr><th scope="row">${classes[label]!}</th>
<td class="n">${support}</td><td class="n">${predicted}</td>${shareCell(precision, 'right')}${shareCell(recall, 'right')}${shareCell(f1, 'right')}</tr>
`,
  );
  const titles = ['Images', 'Predicted', 'Precision', 'Recall', 'F1'];
  const choice = all
    ? ''
    : ` The ${mostScores} classes of ${formatInteger(classes.length)} with the lowest F1; interpretation.json has all.`;
  return html`
<section aria-labelledby="classes">
<h2 id="classes">By class</h2>
<p class="note">Precision: of the images taken for the class, the share that are. Recall: of the class’s images, the share that were recognised. F1: the harmonic mean of both. ${noFigure}: nothing to divide by.${choice}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Scores by class"><table class="plain scores">
<thead><tr><th scope="col">Class</th>${titles.map((title) => html`<th scope="col" class="n">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>
</section>`;
}

/** The lowest first; a class without images that is never predicted has none, and comes last. */
function byScore(a: ClassScore, b: ClassScore): number {
  return (a.f1 ?? 2) - (b.f1 ?? 2);
}
