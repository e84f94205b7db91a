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
