import { largest } from '../../runtime/extremes.js';
import type { Deviation } from './compare.js';

/** A table of the worst deviation of each kind against its bound, for a person. */
export function formatDeviations(title: string, deviations: readonly Deviation[]): string {
  const rows = deviations.map(({ kind, worst, bound, where, met }) => [
    kind,
    met ? 'ok' : 'MISSED',
    scientific(worst),
    scientific(bound),
    where,
  ]);
  const table = [['', '', 'worst', 'bound', 'at'], ...rows];
  const widths = table[0]!.map((_, column) => largest(table.map((row) => row[column]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return [title, ...lines].join('\n');
}

function scientific(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}
