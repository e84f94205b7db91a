import { largest } from '../../runtime/extremes.js';

/** "1 epoch", "3 epochs". */
export function formatCount(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}

/** Rows as lines whose cells stand below each other; `right` says which columns are flush right. */
export function alignColumns(
  rows: readonly (readonly string[])[],
  right: (column: number) => boolean = () => false,
): string[] {
  const widthOf = (column: number) => largest(rows.map((row) => row[column]!.length));
  const widths = (rows[0] ?? []).map((_, column) => widthOf(column));
  return rows.map((row) =>
    row
      .map((cell, column) => (right(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** mm:ss, as fastai prints it, or h:mm:ss from an hour on. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${String(minutes).padStart(2, '0')}:${String(rest).padStart(2, '0')}`;
  return hours > 0 ? `${hours}:${tail}` : tail;
}

/** What stands where there is no figure. */
export const noFigure = '–';

/** Two decimals, as fastai's titles have; `nan` where a loss or probability was not finite. */
export function formatLoss(value: number | null, digits = 2): string {
  return value === null ? 'nan' : value.toFixed(digits);
}

/** A share between 0 and 1 as a percentage. */
export function formatPercent(share: number | null, digits = 1): string {
  return share === null ? noFigure : `${(100 * share).toFixed(digits)} %`;
}

/** Thousands apart by a narrow space. */
export function formatInteger(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A learning rate as people write it: 0.003, 1e-6. */
export function formatRate(rate: number): string {
  const figure = Number(rate.toPrecision(3));
  return Math.abs(figure) >= 1e-3 || figure === 0 ? String(figure) : figure.toExponential();
}
