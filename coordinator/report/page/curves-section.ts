import type { RunConfig } from '../../../plan/run-config.js';
import type { EpochRecord, History } from '../../run-store/epoch-record.js';
import { formatDuration, formatLoss } from '../../terminal/figures.js';
import { learningPanels } from '../learning-charts.js';
import { drawPanels, type Panel } from '../panel.js';
import { schedulePanels } from '../schedule-charts.js';
import { type Html, html, trusted } from './html.js';

export function curvesSection(config: RunConfig, history: History): Html {
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
