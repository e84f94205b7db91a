import { describe, expect, it } from 'vitest';
import { excerptConfusion } from '../../../coordinator/report/confusion-excerpt.js';
import { interpret } from '../../../coordinator/report/interpretation.js';
import { renderPage } from '../../../coordinator/report/page/page.js';
import { titleOf } from '../../../coordinator/report/top-losses-picture.js';
import {
  historyOf,
  randomEvaluatedSet,
  recordOf,
  reportConfig,
  roughClasses,
} from '../../support/report-run.js';
import { findAll, parseStrictHtml, textOf } from '../../support/strict-html.js';

function render(classes: readonly string[] = roughClasses, count = 60) {
  const config = reportConfig({ classes });
  const interpretation = interpret(randomEvaluatedSet(3, count, classes), { topCount: 7, minCount: 1 });
  const losses = interpretation.topLosses.map((loss, index) => ({
    ...loss,
    thumbnail: index === 2 ? null : Buffer.from(`jpeg ${index}`),
  }));
  const record = recordOf(config);
  const history = historyOf(config);
  const content = { record, history, interpretation, losses, root: '/a & b', minCount: 1 };
  const page = renderPage({ ...content, origin: 'after epoch 3' });
  return { page, root: parseStrictHtml(page), interpretation, losses };
}

const headOf = (element: ReturnType<typeof findAll>[number]) => findAll(element, 'th').map(textOf);

describe('renderPage', () => {
  it('is well formed, with every id once and every link to one', () => {
    const { root } = render();
    const elements = ['section', 'h2', 'clipPath', 'table', 'div', 'svg'].flatMap((name) =>
      findAll(root, name),
    );
    const ids = elements.flatMap(({ attributes }) => attributes.get('id') ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    const targets = findAll(root, 'a').map(({ attributes }) => attributes.get('href')!.replace(/^#/, ''));
    expect(targets).toHaveLength(7);
    expect(ids).toEqual(expect.arrayContaining(targets));
  });

  it('needs nothing else: no script, and no address but those of pictures that it carries', () => {
    const { page, root } = render();
    expect(findAll(root, 'script')).toEqual([]);
    expect(findAll(root, 'link')).toEqual([]);
    expect(page).not.toMatch(/@import|url\((?!#)|srcset=|(?:src|href)="(?!data:image\/jpeg;base64,|#)/);
    expect(findAll(root, 'style').map(textOf).join('')).toContain('prefers-color-scheme: dark');
  });

  it('writes names as they are, whatever they contain', () => {
    const { root } = render();
    expect(textOf(findAll(root, 'h1')[0]!)).toBe('a <run> & "more"');
    const [matrix] = findAll(root, 'table').filter(({ attributes }) =>
      attributes.get('class')?.includes('matrix'),
    );
    const [head, body] = [findAll(matrix!, 'thead')[0]!, findAll(matrix!, 'tbody')[0]!];
    expect(headOf(head)).toEqual(roughClasses);
    expect(headOf(body)).toEqual(roughClasses);
    expect(textOf(root)).toContain('/a & b');
  });

  it('titles each picture with prediction / actual / loss / probability', () => {
    const { root, losses } = render();
    const captions = findAll(root, 'figcaption').map(textOf);
    expect(captions).toEqual(losses.map((loss) => `${titleOf(loss, roughClasses)}${loss.path}`));
    expect(captions[0]).toMatch(/ \/ .* \/ \d\.\d\d \/ 0\.\d\d/);
    const pictures = findAll(root, 'img');
    expect(pictures).toHaveLength(losses.length - 1);
    for (const { attributes } of pictures) {
      const bytes = Buffer.from(attributes.get('src')!.split(',')[1]!, 'base64').toString();
      const loss = losses[Number(bytes.replace('jpeg ', ''))]!;
      expect(attributes.get('alt')).toBe(titleOf(loss, roughClasses));
    }
  });

  it.each([2, 12, 24, 40])('shows each count of a matrix of %d classes in its cell', (classCount) => {
    const classes = Array.from({ length: classCount }, (_, index) => `class ${index}`);
    const { root, interpretation } = render(classes, 300);
    const [matrix] = findAll(root, 'table').filter(({ attributes }) =>
      attributes.get('class')?.includes('matrix'),
    );
    const rows = findAll(findAll(matrix!, 'tbody')[0]!, 'tr').map((row) =>
      findAll(row, 'td').map(textOf).map(Number),
    );
    expect(rows).toEqual(excerptConfusion(interpretation).rows.map(({ counts }) => counts));
  });

  it('has a row for every class, epoch and confused pair', () => {
    const { root, interpretation } = render();
    const bodies = findAll(root, 'tbody').map((body) => findAll(body, 'tr').length);
    const [epochs, phases] = [3, 2];
    const pairs = Math.min(25, interpretation.mostConfused.length);
    expect(bodies).toEqual([epochs, roughClasses.length, pairs, roughClasses.length, phases]);
  });

  it('stays short with a thousand classes: those that are confused most, and those with the lowest F1', () => {
    const classes = Array.from({ length: 1_000 }, (_, index) => `class ${index}`);
    const { page, root, interpretation } = render(classes, 5_000);
    expect(page.length).toBeLessThan(400_000);
    const [, matrix, pairs, scores] = findAll(root, 'tbody').map((body) => findAll(body, 'tr'));
    const excerpt = excerptConfusion(interpretation);
    expect(excerpt.shown).toHaveLength(40);
    const { actual, predicted } = interpretation.mostConfused[0]!;
    expect(excerpt.shown).toEqual(expect.arrayContaining([actual, predicted]));
    expect(matrix!.map((row) => findAll(row, 'td').map(textOf).map(Number))).toEqual(
      excerpt.rows.map(({ counts, others }) => [...counts, others]),
    );
    for (const { actual, support, counts, others } of excerpt.rows) {
      expect(support).toBe(interpretation.scores[actual]!.support);
      expect(counts.reduce((sum, count) => sum + count, others)).toBe(support);
    }
    expect(page).toContain('The 40 classes that are confused most, of 1\u202f000; “others” counts the rest.');
    expect(pairs).toHaveLength(25);
    const lowest = interpretation.scores.map(({ f1 }) => f1 ?? 2).sort((a, b) => a - b);
    const shown = scores!.map((row) => interpretation.scores[classes.indexOf(headOf(row)[0]!)]!.f1);
    expect(shown).toEqual(lowest.slice(0, 50));
    expect(page).toContain('The 50 classes of 1\u202f000 with the lowest F1; interpretation.json has all.');
  });
});
