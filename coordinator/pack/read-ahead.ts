interface ReadAheadOptions<T> {
  /** Of what `prepare` makes of one, in bytes, about. */
  weigh(item: T): number;
  /** How many are prepared at a time, at most. */
  readonly depth: number;
  /** How much of them is held at a time, unless one alone is more. */
  readonly bytes: number;
}

/** What `prepare` makes of the items, in order, several of them in hand. When it ends nothing is in hand. */
export async function* readAhead<T, R>(
  items: Iterable<T>,
  prepare: (item: T) => Promise<R>,
  o: ReadAheadOptions<T>,
): AsyncGenerator<R, void, undefined> {
  const inHand: { readonly result: Promise<R>; readonly weight: number }[] = [];
  let held = 0;
  try {
    for (const item of items) {
      const weight = o.weigh(item);
      while (inHand.length > 0 && (inHand.length >= o.depth || held + weight > o.bytes)) {
        yield await inHand[0]!.result;
        held -= inHand.shift()!.weight;
      }
      const result = prepare(item);
      // It is awaited in its turn; until then a failure has nobody who listens.
      result.catch(() => {});
      inHand.push({ result, weight });
      held += weight;
    }
    while (inHand.length > 0) {
      yield await inHand[0]!.result;
      inHand.shift();
    }
  } finally {
    await Promise.allSettled(inHand.map(({ result }) => result));
  }
}
