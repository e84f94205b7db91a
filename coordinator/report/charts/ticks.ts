/** A mark on an axis; minor ones have no label. */
export interface Tick {
  readonly value: number;
  readonly label: string;
}

const superscripts: Readonly<Record<string, string>> = {
  '-': '⁻',
  '0': '⁰',
  '1': '¹',
  '2': '²',
  '3': '³',
  '4': '⁴',
  '5': '⁵',
  '6': '⁶',
  '7': '⁷',
  '8': '⁸',
  '9': '⁹',
};

/** The largest of 1, 2, 5 × a power of ten that divides `span` into at least `count` parts. */
export function niceStep(span: number, count: number): number {
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [10, 5, 2, 1].find((factor) => factor * power <= span / count) ?? 1;
  return step * power;
}

/** About `count` round numbers from `from` to `to`, both included when they are round themselves. */
export function linearTicks(from: number, to: number, count: number): Tick[] {
  if (!(to > from)) return [{ value: from, label: formatNumber(from, 2) }];
  const step = niceStep(to - from, count);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks: Tick[] = [];
  const last = Math.floor(to / step + 1e-9);
  for (let index = Math.ceil(from / step - 1e-9); index <= last; index += 1) {
    // Counted, not added up: 0.1 + 0.1 + 0.1 is not 0.3. `+ 0` takes the sign off -0.
    const value = index * step + 0;
    ticks.push({ value: Number(value.toPrecision(12)), label: formatNumber(value, digits) });
  }
  return ticks;
}

/** Powers of ten with a label, and 2 … 9 times each without, from `from` to `to` (both above 0). */
export function logarithmicTicks(from: number, to: number): Tick[] {
  const ticks: Tick[] = [];
  const slack = 1e-9;
  const last = Math.floor(Math.log10(to) + slack);
  for (let exponent = Math.floor(Math.log10(from) + slack); exponent <= last; exponent += 1) {
    for (let factor = 1; factor <= 9; factor += 1) {
      const value = Number(`${factor}e${exponent}`);
      if (value < from * (1 - slack) || value > to * (1 + slack)) continue;
      ticks.push({ value, label: factor === 1 ? formatPowerOfTen(exponent) : '' });
    }
  }
  return ticks;
}

/** 10⁻³; 1 and 10 as they are. */
export function formatPowerOfTen(exponent: number): string {
  if (exponent === 0) return '1';
  if (exponent === 1) return '10';
  return `10${[...String(exponent)].map((sign) => superscripts[sign]).join('')}`;
}

function formatNumber(value: number, digits: number): string {
  return Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-5)
    ? value.toExponential(1)
    : value.toFixed(Math.min(digits, 8));
}
