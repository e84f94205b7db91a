/** The name that is fewest edits away, or null when none is near enough to be what was meant. */
export function nearestName(wrong: string, names: readonly string[]): string | null {
  let nearest: string | null = null;
  let fewest = Math.max(2, Math.floor(wrong.length / 3)) + 1;
  for (const name of names) {
    const edits = countEdits(wrong, name);
    if (edits >= fewest) continue;
    [nearest, fewest] = [name, edits];
  }
  return nearest;
}

/** Insertions, deletions and replacements that turn one into the other (Levenshtein). */
function countEdits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
