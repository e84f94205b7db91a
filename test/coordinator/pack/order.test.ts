import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderSamples, sampleOrders } from '../../../coordinator/pack/order.js';

/** Of 12 samples of class 0, 30 of class 1 and 6 of class 2, as folders list them. */
const labels = [12, 30, 6].flatMap((count, label) => new Array<number>(count).fill(label));

describe('orderSamples', () => {
  it.each(sampleOrders)('%s: takes each sample once, the same for the same seed', (order) => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 60 }), fc.nat(), (drawn, seed) => {
        const ids = orderSamples(order, drawn, seed);
        expect([...ids].sort((a, b) => a - b)).toEqual([...drawn.keys()]);
        expect(orderSamples(order, drawn, seed)).toEqual(ids);
      }),
    );
  });

  it('sorted: leaves them as they are listed', () => {
    expect([...orderSamples('sorted', labels, 1)]).toEqual([...labels.keys()]);
  });

  it.each(['shuffled', 'class-balanced'] as const)('%s: another seed gives another order', (order) => {
    expect(orderSamples(order, labels, 1)).not.toEqual(orderSamples(order, labels, 2));
  });

  it("class-balanced: every stretch has each class's share, a few more or fewer", () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const packed = Array.from(orderSamples('class-balanced', labels, seed), (id) => labels[id]!);
      for (const length of [8, 16, 24]) {
        for (let start = 0; start + length <= packed.length; start += 1) {
          const stretch = packed.slice(start, start + length);
          for (const [label, count] of [12, 30, 6].entries()) {
            const share = (count * length) / labels.length;
            const found = stretch.filter((found) => found === label).length;
            // Neighbouring classes move the stretch's ends by up to one of each class.
            expect(Math.abs(found - share)).toBeLessThan(4);
          }
        }
      }
    }
  });
});
