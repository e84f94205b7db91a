/**
 * Measures each entry once in every turn, in alternating order, so that other load on the machine affects all
 * of them equally. Returns each entry's figures, by turn.
 */
export async function takeTurns<Entry, Figure>(
  entries: readonly Entry[],
  turns: number,
  measure: (entry: Entry, turn: number) => Promise<Figure>,
): Promise<Figure[][]> {
  const figures: Figure[][] = entries.map(() => []);
  for (let turn = 0; turn < turns; turn += 1) {
    const order = [...entries.entries()];
    for (const [index, entry] of turn % 2 === 0 ? order : order.toReversed()) {
      figures[index]!.push(await measure(entry, turn));
    }
  }
  return figures;
}

/**
 * Ratios of values measured in turn: each to the one of the same turn, which other load on the machine
 * affected equally.
 */
export function pairedRatios(values: readonly number[], others: readonly number[]): number[] {
  if (values.length !== others.length) throw new Error(`${values.length} turns and ${others.length}`);
  return values.map((value, turn) => value / others[turn]!);
}
