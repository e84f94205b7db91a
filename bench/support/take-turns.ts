/**
 * Measures each entry once in every turn, there and back, so that what the machine does beside meets them
 * alike. Answers each entry's figures, by turn.
 */
export async function takeTurns<Entry, Figure>(
  entries: readonly Entry[],
  turns: number,
  measure: (entry: Entry) => Promise<Figure>,
): Promise<Figure[][]> {
  const figures: Figure[][] = entries.map(() => []);
  for (let turn = 0; turn < turns; turn += 1) {
    const order = [...entries.entries()];
    for (const [index, entry] of turn % 2 === 0 ? order : order.toReversed()) {
      figures[index]!.push(await measure(entry));
    }
  }
  return figures;
}

/**
 * Ratios of values measured in turn: each to the one of the same turn, which the machine's other load met
 * alike.
 */
export function pairedRatios(values: readonly number[], others: readonly number[]): number[] {
  if (values.length !== others.length) throw new Error(`${values.length} turns and ${others.length}`);
  return values.map((value, turn) => value / others[turn]!);
}
