import { formatDuration } from './clock-text.js';
import { estimateLeft, type ProgressState } from './progress-state.js';

const barWidth = 24;

/** The lines that are drawn again and again at the terminal's bottom, none wider than `columns`. */
export function renderLive(state: ProgressState, nowMs: number, columns: number): string[] {
  return linesOf(state, nowMs).map((line) => [...line].slice(0, Math.max(1, columns - 1)).join(''));
}

function linesOf(state: ProgressState, nowMs: number): string[] {
  switch (state.status) {
    case 'dataset':
      return state.dataset === null ? [] : [renderDataset(state.dataset, nowMs)];
    case 'starting':
      return ['starting'];
    case 'waiting':
      return ['waiting for the workers'];
    case 'training':
      return [renderTraining(state)];
    case 'stopping':
      return [`${renderTraining(state)} · stopping`];
    case 'over':
      return [];
  }
}

/** Also what plain output prints now and then. */
export function renderDataset(
  {
    phase,
    subject = 'images',
    unit,
    done,
    total,
    sinceMs,
    doneBefore = 0,
  }: NonNullable<ProgressState['dataset']>,
  nowMs: number,
): string {
  const count = (value: number) => (unit === 'bytes' ? (value / 1e6).toFixed(1) : String(value));
  const suffix = unit === 'bytes' ? ' MB' : '';
  if (total === 0) return `${phase} ${subject}: ${count(done)}${suffix}`;
  const secondsEach = (nowMs - sinceMs) / 1000 / (done - doneBefore);
  const left = done > doneBefore && done < total ? secondsEach * (total - done) : null;
  const rest = left === null ? '' : ` · ${formatDuration(left)} left`;
  return `${phase} ${subject} ${renderBar(done / total)} ${count(done)}/${count(total)}${suffix}${rest}`;
}

export function renderTraining(state: ProgressState): string {
  const { run, step, imagesPerSecond } = state;
  if (run === null || step === null) return 'the workers prepare the network';
  const { stepsPerEpoch, epochs } = run;
  const done = step.step - step.epoch * stepsPerEpoch + 1;
  const left = estimateLeft(state);
  const parts = [
    `epoch ${step.epoch + 1}/${epochs} ${renderBar(done / stepsPerEpoch)} ${done}/${stepsPerEpoch}`,
    `loss ${step.loss === null ? 'nan' : step.loss.toFixed(4)}`,
    `${(imagesPerSecond ?? 0).toFixed(1)} images/s`,
  ];
  if (left !== null)
    parts.push(`epoch ${formatDuration(left.epoch)} left`, `run ${formatDuration(left.run)} left`);
  return parts.join(' · ');
}

function renderBar(fraction: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * barWidth);
  return '━'.repeat(full) + '─'.repeat(barWidth - full);
}
