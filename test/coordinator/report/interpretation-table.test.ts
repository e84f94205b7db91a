import { describe, expect, it } from 'vitest';
import { interpret } from '../../../coordinator/report/interpretation.js';
import { renderInterpretation } from '../../../coordinator/report/interpretation-table.js';

function render(labels: readonly number[], predictions: readonly number[]): string[] {
  const losses = labels.map(() => 0.5);
  const labelRanks = labels.map((label, index) => (predictions[index] === label ? 0 : 5));
  const images = {
    paths: labels.map(String),
    labels,
    predictions,
    losses,
    labelRanks,
    probabilities: losses,
  };
  const classes = ['Abyssinian', '3d', 'pug'];
  const evaluated = { classes, classWeights: null, ...images };
  return renderInterpretation(interpret(evaluated, { topCount: 1, minCount: 1 }));
}

describe('renderInterpretation', () => {
  it('shows the rate, the pairs and the hardest classes, one under the other', () => {
    expect(render([0, 0, 0, 1, 1, 2], [1, 1, 0, 1, 2, 2])).toEqual([
      'error rate 0.5000 (3 of 6 images), loss 0.5000',
      'balanced error 0.3889, macro F1 0.5222, top-5 error 0.5000',
      '',
      'actual      taken for  images',
      'Abyssinian  3d              2',
      '3d          pug             1',
      '',
      'hardest class  recall  precision  images',
      'Abyssinian     33.3 %    100.0 %       3',
      '3d             50.0 %     33.3 %       2',
      '',
    ]);
  });

  it('has no tables when all is right', () => {
    expect(render([0, 1], [0, 1])).toEqual([
      'error rate 0.0000 (0 of 2 images), loss 0.5000',
      'balanced error 0.0000, macro F1 1.0000, top-5 error 0.0000',
      '',
    ]);
  });
});
