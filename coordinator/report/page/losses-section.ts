import { formatLoss } from '../../terminal/figures.js';
import { type PicturedLoss, titleOf } from '../top-losses-picture.js';
import { type Html, html, nothing } from './html.js';

export function lossesSection(losses: readonly PicturedLoss[], classes: readonly string[]): Html {
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
