import type { EpochRecord } from '../run-store/epoch-record.js';
import { formatDuration } from './clock-text.js';

/** fastai's columns, and images/s. */
const columns: readonly { readonly title: string; readonly show: (record: EpochRecord) => string }[] = [
  { title: 'epoch', show: (record) => String(record.epoch) },
  { title: 'train_loss', show: (record) => figure(record.train_loss, 6) },
  { title: 'valid_loss', show: (record) => figure(record.valid_loss, 6) },
  { title: 'error_rate', show: (record) => figure(record.error_rate, 6) },
  { title: 'time   ', show: (record) => formatDuration(record.seconds) },
  { title: 'images/s', show: (record) => record.imagesPerSecond.toFixed(1) },
];
const gap = '  ';

export function renderTableHead(): string {
  return columns
    .map(({ title }) => title)
    .join(gap)
    .trimEnd();
}

export function renderTableRow(record: EpochRecord): string {
  return columns
    .map(({ title, show }) => show(record).padEnd(title.length))
    .join(gap)
    .trimEnd();
}

function figure(value: number | null, digits: number): string {
  return value === null ? 'nan' : value.toFixed(digits);
}
