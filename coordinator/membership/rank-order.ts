const collator = new Intl.Collator('en', { numeric: true });

interface Placed {
  readonly workerId: string;
  readonly host: string;
  /** Hosts that are near each other, such as those of a rack; empty where nobody said. */
  readonly zone: string;
}

/**
 * The order of ranks around the ring: that of worker ids, worker-2 before worker-10, so that it does not depend on
 * who came first. But workers of one host stand together, and hosts of one zone, so that the ring enters and
 * leaves each of them once. Zones and hosts follow the first of their workers.
 */
export function orderRanks<T extends Placed>(members: readonly T[]): T[] {
  const ordered = members.toSorted(byWorkerId);
  const zones = groupBy(ordered, ({ zone }) => zone);
  return zones.flatMap((near) => groupBy(near, ({ host }) => host).flat());
}

/** In the order in which the groups' first items come. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item)) ?? [];
    groups.set(keyOf(item), group);
    group.push(item);
  }
  return [...groups.values()];
}

function byWorkerId(a: Placed, b: Placed): number {
  return collator.compare(a.workerId, b.workerId) || (a.workerId < b.workerId ? -1 : 1);
}
