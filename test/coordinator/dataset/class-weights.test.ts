import { describe, expect, it } from 'vitest';
import { balanceClasses } from '../../../coordinator/dataset/class-weights.js';

describe('balanceClasses', () => {
  it('is n / (classes × count), as scikit-learn computes it', () => {
    // compute_class_weight('balanced', classes=[0, 1, 2], y=[0]*6 + [1]*3 + [2]*1)
    const labels = [0, 0, 0, 1, 0, 1, 2, 0, 1, 0];
    const weights = balanceClasses(3, labels);
    expect(weights).toEqual([10 / 18, 10 / 9, 10 / 3]);
    const total = labels.reduce((sum, label) => sum + weights[label]!, 0);
    expect(total / labels.length).toBeCloseTo(1, 12);
  });

  it('is 1 for classes of one size, and for one without samples', () => {
    expect(balanceClasses(2, [0, 1, 1, 0])).toEqual([1, 1]);
    expect(balanceClasses(3, [0, 0, 2, 2])[1]).toBe(1);
  });
});
