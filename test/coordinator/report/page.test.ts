import { describe, expect, it } from 'vitest';
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
    expect(rows).toEqual(interpretation.confusion);
  });

  it('has a row for every class, epoch and confused pair', () => {
    const { root, interpretation } = render();
    const bodies = findAll(root, 'tbody').map((body) => findAll(body, 'tr').length);
    const [epochs, phases] = [3, 2];
    const pairs = Math.min(25, interpretation.mostConfused.length);
    expect(bodies).toEqual([epochs, roughClasses.length, pairs, roughClasses.length, phases]);
  });
});
