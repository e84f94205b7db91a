import fc from 'fast-check';
import { expect, it } from 'vitest';
import { orderRanks } from '../../../coordinator/membership/rank-order.js';

const at = (workerId: string, host = 'one', zone = '') => ({ workerId, host, zone });
const ids = (members: readonly { workerId: string }[]) => members.map(({ workerId }) => workerId);

it('follows the ids on one host, as numbers, whoever came first', () => {
  const members = ['worker-10', 'a', 'worker-2', 'worker-0'].map((id) => at(id));
  const expected = ['a', 'worker-0', 'worker-2', 'worker-10'];
  expect(ids(orderRanks(members))).toEqual(expected);
  expect(ids(orderRanks(members.toReversed()))).toEqual(expected);
});

it('has workers of a host beside each other, and hosts of a zone', () => {
  const members = [
    at('w-0', 'a', 'east'),
    at('w-1', 'b', 'west'),
    at('w-2', 'c', 'east'),
    at('w-3', 'a', 'east'),
    at('w-4', 'b', 'west'),
  ];
  expect(ids(orderRanks(members))).toEqual(['w-0', 'w-3', 'w-2', 'w-1', 'w-4']);
});

it('crosses the border of each zone and host once, in whatever order workers come', () => {
  const member = fc.record({
    workerId: fc.string({ minLength: 1 }),
    host: fc.constantFrom('a', 'b', 'c'),
    zone: fc.constantFrom('', 'x', 'y'),
  });
  const members = fc.uniqueArray(member, { selector: ({ workerId }) => workerId, maxLength: 12 });
  fc.assert(
    fc.property(members, fc.infiniteStream(fc.nat()), (placed, random) => {
      const ranks = orderRanks(placed);
      const shuffled = placed
        .map((each) => ({ each, key: random.next().value as number }))
        .sort((a, b) => a.key - b.key)
        .map(({ each }) => each);
      expect(orderRanks(shuffled)).toEqual(ranks);
      for (const keyOf of [
        ({ zone }: (typeof ranks)[number]) => zone,
        ({ zone, host }: (typeof ranks)[number]) => `${zone}/${host}`,
      ]) {
        const keys = ranks.map(keyOf);
        const changes = keys.filter((key, index) => index > 0 && key !== keys[index - 1]).length;
        expect(changes).toBe(Math.max(0, new Set(keys).size - 1));
      }
    }),
  );
});
