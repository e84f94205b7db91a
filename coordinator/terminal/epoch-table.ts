import type { EpochRecord } from '../run-store/epoch-record.js';
import { formatDuration } from './clock-text.js';

interface Column {
  readonly title: string;
  readonly show: (record: EpochRecord) => string;
  /** Left out where there is no room for all. */
  readonly further?: boolean;
}

/** fastai's columns, further measures, and images/s. */
const columns: readonly Column[] = [
  { title: 'epoch', show: (record) => String(record.epoch) },
  { title: 'train_loss', show: (record) => figure(record.train_loss, 6) },
  { title: 'valid_loss', show: (record) => figure(record.valid_loss, 6) },
  { title: 'error_rate', show: (record) => figure(record.error_rate, 6) },
  { title: 'balanced_error', show: (record) => figure(record.balanced_error, 6), further: true },
  { title: 'macro_f1', show: (record) => figure(record.macro_f1, 6), further: true },
  { title: 'top5_error', show: (record) => figure(record.top5_error, 6), further: true },
  { title: 'time   ', show: (record) => formatDuration(record.seconds) },
  { title: 'images/s', show: (record) => record.imagesPerSecond.toFixed(1) },
];
const gap = '  ';
/** Where a width is not known. */
const usualWidth = 80;

/** @param width of the terminal, in characters */
export function renderTableHead(width = usualWidth): string {
  return join(fitting(width).map(({ title }) => title));
}

/** @param width of the terminal, in characters */
export function renderTableRow(record: EpochRecord, width = usualWidth): string {
  return join(fitting(width).map(({ title, show }) => show(record).padEnd(title.length)));
}

/** All columns, or fastai's and images/s alone when all are too wide. */
function fitting(width: number): readonly Column[] {
  return join(columns.map(({ title }) => title)).length < width
    ? columns
    : columns.filter(({ further }) => !further);
}

function join(cells: readonly string[]): string {
  return cells.join(gap).trimEnd();
}

function figure(value: number | null, digits: number): string {
  return value === null ? 'nan' : value.toFixed(digits);
}
