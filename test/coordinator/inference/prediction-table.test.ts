import { describe, expect, it } from 'vitest';
import { renderPredictions } from '../../../coordinator/inference/prediction-table.js';

describe('renderPredictions', () => {
  it('aligns names, classes and probabilities, and says what could not be read', () => {
    const top = [
      { class: 'cat', probability: 0.98764 },
      { class: 'leopard', probability: 0.01 },
    ];
    const lines = renderPredictions([
      { kind: 'prediction', image: 'a.jpg', top },
      { kind: 'unreadable', image: 'longer.jpg', reason: 'torn' },
    ]);
    expect(lines).toEqual([
      'image       class    prob.  or       prob.',
      'a.jpg       cat     0.9876  leopard 0.0100',
      'longer.jpg  unreadable: torn',
    ]);
  });

  it('takes more images than a call takes arguments', () => {
    const many = Array.from({ length: 200_000 }, (_, index) => ({
      ...{ kind: 'unreadable' as const, image: `${index}.jpg`, reason: 'torn' },
    }));
    const lines = renderPredictions(many);
    expect(lines).toHaveLength(200_001);
    expect(lines.at(-1)).toBe('199999.jpg  unreadable: torn');
  });
});
