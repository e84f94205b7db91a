import { shellWord } from '../../runtime/printable.js';
import type { EpochRecord } from '../run-store/epoch-record.js';
import type { Summary } from '../run-store/summary.js';
import { describeCauses, type PreparedEvent, type RunEvent } from '../telemetry/run-events.js';
import { formatCount, formatDuration, formatLoss } from './figures.js';

/**
 * The lines that an event leaves on the terminal for good.
 *
 * @param width of the terminal, in characters, where it is known
 */
export function renderEvent(event: RunEvent, width?: number): string[] {
  switch (event.kind) {
    case 'note':
      return [event.text];
    case 'warning':
      return [`warning: ${event.text}`];
    case 'prepared':
      return renderPrepared(event);
    case 'waiting':
      return renderWaiting(event);
    case 'assigned':
      return event.generation === 1 ? [renderTableHead(width)] : [];
    case 'epoch':
      return [renderTableRow(event, width)];
    case 'worker-lost':
      return [`lost ${event.worker} (rank ${event.rank}) at step ${event.step}: ${event.reason}`];
    case 'recovered':
      // Another coordinator has printed the head before.
      return [renderRecovered(event), ...(isTakenOver(event) ? [renderTableHead(width)] : [])];
    case 'short':
      return [`waiting for workers: ${event.workers} of the ${event.needed} that the run needs are there`];
    case 'rolled-back':
      return [
        `all workers that held the state after ${formatCount(event.fromStep, 'step')} are gone: ` +
          `going on after step ${event.toStep}, from the newest checkpoint`,
      ];
    case 'stopping':
      return [`${event.reason}: finishing the step and saving it; once more to stop at once`];
    case 'early-stop':
      return [renderEarlyStop(event)];
    case 'summary':
      return renderSummary(event);
    default:
      return [];
  }
}

function renderPrepared(o: PreparedEvent): string[] {
  const lines = [
    `run ${o.runId} in ${o.directory}`,
    `${o.arch} at ${o.size} px · ${o.classes} classes · ${o.train} images to train on, ${o.valid} to validate on · ` +
      `${formatCount(o.epochs, 'epoch')} of ${formatCount(o.stepsPerEpoch, 'step')} · ${formatCount(o.workers, 'worker')}`,
  ];
  if (o.quarantined > 0)
    lines.push(
      `${formatCount(o.quarantined, 'file')} left out as unusable: ${o.directory}/quarantined.jsonl`,
    );
  if (o.startStep > 0) lines.push(`going on after ${formatCount(o.startStep, 'step')}`);
  return lines;
}

/** What is pasted on another machine. */
export function joinCommand(
  address: string,
  { token, hash }: { readonly token: string | null; readonly hash: string },
): string {
  const proof = token === null ? '--token-file FILE' : `--token ${token}`;
  return `worker join --coordinator ${address} ${proof} --ca-hash ${hash}`;
}

/** The same for who is to ask the run there. */
export function operatorCommand(
  address: string,
  { token, hash }: { readonly token: string; readonly hash: string },
): string {
  return `coordinator status --coordinator ${address} --token ${token} --ca-hash ${hash}`;
}

function renderWaiting(event: Extract<RunEvent, { kind: 'waiting' }>): string[] {
  const elsewhere = event.workers - event.localWorkers;
  const { address, tokenFile, joining, insecure } = event;
  const command = `worker join --coordinator ${address}${insecure ? ' --insecure' : ''}`;
  if (joining !== null) {
    return [
      elsewhere === 0
        ? 'others may join: on their machines'
        : `waiting for ${elsewhere} of ${event.workers} workers: on their machines, once for each`,
      `  ${joinCommand(address, joining)}`,
    ];
  }
  if (elsewhere === 0) return [];
  if (event.tls) {
    return [
      `waiting for ${elsewhere} of ${event.workers} workers: ${command} --tls-ca FILE --tls-cert FILE --tls-key FILE`,
    ];
  }
  return [
    `waiting for ${elsewhere} of ${event.workers} workers: ${command} --token-file ${shellWord(tokenFile ?? 'FILE')}`,
  ];
}

function isTakenOver({ causes }: Extract<RunEvent, { kind: 'recovered' }>): boolean {
  return causes.some(({ kind }) => kind === 'restart');
}

function renderRecovered(event: Extract<RunEvent, { kind: 'recovered' }>): string {
  const { causes, worldSize, step, seconds, stepsRedone, copies } = event;
  const silences = causes.flatMap((cause) => (cause.kind === 'loss' ? [cause.silentMs] : []));
  const parts = [
    ...silences.map((ms) => `noticed within ${(ms / 1_000).toFixed(1)} s`),
    `going on at step ${step} with ${formatCount(worldSize, 'worker')} after ${seconds.toFixed(1)} s`,
    ...copies.map(({ to, from, bytes, megabytesPerSecond }) => {
      return `${to} copied ${(bytes / 1e6).toFixed(0)} MB from ${from}, ${megabytesPerSecond.toFixed(0)} MB/s`;
    }),
  ];
  if (stepsRedone > 0) parts.push(`${formatCount(stepsRedone, 'step')} taken again`);
  return `${describeCauses(causes)}: ${parts.join(' · ')}`;
}

function renderEarlyStop(stop: Extract<RunEvent, { kind: 'early-stop' }>): string {
  const { phase, nextPhase, patience, bestEpoch, validLoss } = stop;
  const best = bestEpoch === null ? '' : `, ${validLoss?.toFixed(6)} after epoch ${bestEpoch}`;
  const what =
    nextPhase === null ? 'stopping early' : `ending the ${phase} phase early, ${nextPhase} is next`;
  return `${what}: valid_loss has not fallen for ${formatCount(patience, 'epoch')}${best}`;
}

function renderSummary(summary: Summary): string[] {
  const { status, steps, totalSteps, wallSeconds, directory, metrics, resume } = summary;
  if (status === 'failed' && steps === 0) return [];
  const lines = [`${status} after ${steps} of ${totalSteps} steps, in ${formatDuration(wallSeconds)}`];
  const last = summary.epochs.at(-1);
  if (status === 'completed' && last?.error_rate != null) {
    lines.push(`error rate ${last.error_rate.toFixed(4)} on ${summary.counts.valid} validation images`);
    lines.push(
      `balanced error ${formatLoss(last.balanced_error, 4)}, macro F1 ${formatLoss(last.macro_f1, 4)}, top-5 error ${formatLoss(last.top5_error, 4)}`,
    );
  }
  if (summary.skippedSteps > 0)
    lines.push(`${formatCount(summary.skippedSteps, 'step')} skipped: the loss or a gradient was not finite`);
  if (summary.recoveries > 0)
    lines.push(`went on ${formatCount(summary.recoveries, 'time')} after workers changed, or it was resumed`);
  if (summary.earlyStopped) lines.push(`stopped early; epoch ${summary.bestEpoch} was the best`);
  if (summary.bestCheckpoint != null)
    lines.push(`best: ${directory}/checkpoints/best, ${summary.bestCheckpoint}`);
  if (metrics.dropped > 0)
    lines.push(`${metrics.dropped} of ${metrics.dropped + metrics.published} metrics were lost`);
  if (summary.report != null) lines.push(`report: ${summary.report}`);
  lines.push(`all of it is in ${directory}`);
  if (status === 'stopped' && resume !== null) lines.push(`go on with: ${resume}`);
  return lines;
}

interface Column {
  readonly title: string;
  readonly show: (record: EpochRecord) => string;
  /** Left out where there is no room for all. */
  readonly further?: boolean;
}

/** Of the table of epochs: fastai's, further measures, and images/s. */
const columns: readonly Column[] = [
  { title: 'epoch', show: (record) => String(record.epoch) },
  { title: 'train_loss', show: (record) => formatLoss(record.train_loss, 6) },
  { title: 'valid_loss', show: (record) => formatLoss(record.valid_loss, 6) },
  { title: 'error_rate', show: (record) => formatLoss(record.error_rate, 6) },
  { title: 'balanced_error', show: (record) => formatLoss(record.balanced_error, 6), further: true },
  { title: 'macro_f1', show: (record) => formatLoss(record.macro_f1, 6), further: true },
  { title: 'top5_error', show: (record) => formatLoss(record.top5_error, 6), further: true },
  { title: 'time   ', show: (record) => formatDuration(record.seconds) },
  { title: 'images/s', show: (record) => record.imagesPerSecond.toFixed(1) },
];
const gap = '  ';
/** Where a width is not known. */
const usualWidth = 80;

/** @param width of the terminal, in characters */
function renderTableHead(width = usualWidth): string {
  return join(fitting(width).map(({ title }) => title));
}

/** @param width of the terminal, in characters */
function renderTableRow(record: EpochRecord, width = usualWidth): string {
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
