import { formatCount, formatInteger, formatPercent, noFigure } from '../../terminal/figures.js';
import { strength } from '../confusion-picture.js';
import type { Interpretation } from '../interpretation.js';
import { type Html, html, nothing } from './html.js';

/** The longest list of pairs; interpretation.json has all of them. */
const mostPairs = 25;
/** From this strength of its colour on, a cell is written in the paper's colour. */
const deepFrom = 0.62;

export function confusionSection(interpretation: Interpretation, minCount: number): Html {
  return html`
<section aria-labelledby="confusion">
<h2 id="confusion">Confusion</h2>
<p class="note">Rows are the actual class, columns the predicted one. Blue is right, orange is wrong; the deeper, the larger the share of its row.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix">${matrixTable(interpretation)}</div>
</section>
<section aria-labelledby="most-confused">
<h2 id="most-confused">Most confused</h2>
${pairsTable(interpretation, minCount)}
</section>`;
}

function matrixTable({ classes, confusion }: Interpretation): Html {
  const density = classes.length <= 12 ? 'roomy' : classes.length <= 24 ? 'close' : 'dense';
  const names = classes.map((name) => html`<th scope="col"><span>${name}</span></th>`);
  return html`<table class="matrix ${density}">
<caption class="unseen">Confusion matrix: rows actual, columns predicted</caption>
<thead><tr><td></td>${names}</tr></thead>
<tbody>${classes.map((_, actual) => matrixRow(classes, confusion[actual]!, actual))}</tbody>
</table>`;
}

function matrixRow(classes: readonly string[], row: readonly number[], actual: number): Html {
  const support = row.reduce((sum, count) => sum + count, 0);
  const cells = row.map((count, predicted) => {
    if (count === 0) return html`<td class="none">0</td>`;
    const alpha = strength(count, support);
    const kind = `${predicted === actual ? 'right' : 'wrong'}${alpha > deepFrom ? ' deep' : ''}`;
    const said =
      predicted === actual
        ? `${classes[actual]} recognised: ${count} of ${support}`
        : `${classes[actual]} taken for ${classes[predicted]}: ${count} of ${support}`;
    return html`<td class="${kind}" style="--a:${alpha.toFixed(2)}" title="${said}">${count}</td>`;
  });
  return html`<tr><th scope="row">${classes[actual]!}</th>${cells}</tr>\n`;
}

function pairsTable({ classes, confusion, mostConfused, errors }: Interpretation, minCount: number): Html {
  if (mostConfused.length === 0) {
    const text =
      errors === 0 ? 'Every image was recognised.' : `No pair was confused ${minCount} times or more.`;
    return html`<p class="note">${text}</p>`;
  }
  const shown = mostConfused.slice(0, mostPairs);
  const rows = shown.map(({ actual, predicted, count }) => {
    const support = confusion[actual]!.reduce((sum, other) => sum + other, 0);
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
  const rows = scores.map(
    ({ support, predicted, precision, recall, f1 }, index) => html`<tr><th scope="row">${classes[index]!}</th>
<td class="n">${support}</td><td class="n">${predicted}</td>${shareCell(precision, 'right')}${shareCell(recall, 'right')}${shareCell(f1, 'right')}</tr>
`,
  );
  const titles = ['Images', 'Predicted', 'Precision', 'Recall', 'F1'];
  return html`
<section aria-labelledby="classes">
<h2 id="classes">By class</h2>
<p class="note">Precision: of the images taken for the class, the share that are. Recall: of the class’s images, the share that were recognised. F1: the harmonic mean of both. ${noFigure}: nothing to divide by.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Scores by class"><table class="plain scores">
<thead><tr><th scope="col">Class</th>${titles.map((title) => html`<th scope="col" class="n">${title}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>
</section>`;
}
