import { describe, expect, it } from 'vitest';
import { pairedRatios, takeTurns } from '../../../bench/support/take-turns.js';

describe('takeTurns', () => {
  it('goes there and back, and keeps figures by entry and turn', async () => {
    const order: string[] = [];
    const figures = await takeTurns(['a', 'b', 'c'], 3, async (entry) => order.push(entry));
    expect(order.join('')).toBe('abccbaabc');
    expect(figures).toEqual([
      [1, 6, 7],
      [2, 5, 8],
      [3, 4, 9],
    ]);
  });
});

describe('pairedRatios', () => {
  it('divides turn by turn', () => {
    expect(pairedRatios([2, 9, 5], [4, 3, 5])).toEqual([0.5, 3, 1]);
  });

  it('refuses turns that have no partner', () => {
    expect(() => pairedRatios([1, 2], [1])).toThrow('2 turns and 1');
  });
});
