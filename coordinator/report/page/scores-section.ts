import { noFigure } from '../../terminal/figures.js';
import type { Interpretation } from '../interpretation.js';
import { shareCell } from './confusion-section.js';
import { type Html, html } from './html.js';

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
