import { shellWord } from '../../runtime/shell-word.js';
import type { Summary } from '../run-store/summary.js';
import type { PreparedEvent, RunEvent } from '../telemetry/run-events.js';
import { formatDuration } from './clock-text.js';
import { formatCount } from './count-text.js';
import { renderTableHead, renderTableRow } from './epoch-table.js';

/**
 * The lines that an event leaves on the terminal for good.
 *
 * @param width of the terminal, in characters, where it is known
 */
export function renderLasting(event: RunEvent, width?: number): string[] {
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
      return [renderTableHead(width)];
    case 'epoch':
      return [renderTableRow(event, width)];
    case 'worker-lost':
      return [`lost ${event.worker} (rank ${event.rank}) at step ${event.step}: ${event.reason}`];
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

function renderWaiting(event: Extract<RunEvent, { kind: 'waiting' }>): string[] {
  const elsewhere = event.workers - event.localWorkers;
  if (elsewhere === 0) return [];
  return [
    `waiting for ${elsewhere} of ${event.workers} workers: ` +
      `worker join --coordinator ${event.address} --token-file ${shellWord(event.tokenFile ?? 'FILE')}`,
  ];
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
      `balanced error ${show(last.balanced_error)}, macro F1 ${show(last.macro_f1)}, top-5 error ${show(last.top5_error)}`,
    );
  }
  if (summary.skippedSteps > 0)
    lines.push(`${formatCount(summary.skippedSteps, 'step')} skipped: the loss or a gradient was not finite`);
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

function show(figure: number | null): string {
  return figure?.toFixed(4) ?? 'nan';
}
