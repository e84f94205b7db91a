import type {
  DatasetProgress,
  PreparedEvent,
  RecoveredEvent,
  RunEvent,
  StepEvent,
} from '../telemetry/run-events.js';
import { formatCount, formatDuration } from './figures.js';

/** Of what comes before a run: since when its phase runs, and what a broken download had left by then. */
export interface PhaseProgress extends DatasetProgress {
  readonly sinceMs: number;
  readonly doneBefore?: number;
}

/** What the terminal knows of a run. */
export interface ProgressState {
  readonly status: 'dataset' | 'starting' | 'waiting' | 'training' | 'stopping' | 'over';
  readonly dataset: PhaseProgress | null;
  /** Workers may join, perhaps before the data set is known. */
  readonly isOpen: boolean;
  readonly run: PreparedEvent | null;
  /** The last step. */
  readonly step: StepEvent | null;
  /** Since when the workers are those that they are, where that changed. */
  readonly recovered: Pick<RecoveredEvent, 'step' | 'worldSize'> | null;
  /** Smoothed; null before the first step. */
  readonly secondsPerStep: number | null;
  readonly imagesPerSecond: number | null;
  /** What an epoch takes beside its steps; 0 until one has ended. */
  readonly evaluationSeconds: number;
  readonly epochsDone: number;
  /** Step seconds of the epoch that is running. */
  readonly epochSeconds: number;
}

const weightOfNew = 0.1;

export const initialProgress: ProgressState = {
  status: 'dataset',
  dataset: null,
  isOpen: false,
  run: null,
  step: null,
  recovered: null,
  secondsPerStep: null,
  imagesPerSecond: null,
  evaluationSeconds: 0,
  epochsDone: 0,
  epochSeconds: 0,
};

/** The state after an event. Pure. */
export function advance(state: ProgressState, event: RunEvent, nowMs: number): ProgressState {
  switch (event.kind) {
    case 'dataset': {
      const { phase, subject, done } = event;
      const same = state.dataset?.phase === phase && state.dataset.subject === subject;
      const { sinceMs, doneBefore } = same ? state.dataset! : { sinceMs: nowMs, doneBefore: done };
      return { ...state, status: 'dataset', dataset: { ...event, sinceMs, doneBefore } };
    }
    case 'prepared':
      return {
        ...state,
        status: state.isOpen ? 'waiting' : 'starting',
        run: event,
        epochsDone: Math.floor(event.startStep / event.stepsPerEpoch),
      };
    case 'waiting':
      return { ...state, status: 'waiting', isOpen: true };
    case 'short':
      return { ...state, status: 'waiting' };
    case 'rolled-back':
      return { ...state, step: null };
    case 'assigned':
      return { ...state, status: 'training' };
    case 'recovered':
      return { ...state, recovered: event };
    case 'step':
      return {
        ...state,
        step: event,
        secondsPerStep: smooth(state.secondsPerStep, event.seconds),
        imagesPerSecond: smooth(state.imagesPerSecond, event.samples / event.seconds),
        epochSeconds: state.epochSeconds + event.seconds,
      };
    case 'epoch':
      return {
        ...state,
        epochsDone: event.epoch + 1,
        evaluationSeconds: Math.max(0, event.seconds - state.epochSeconds),
        epochSeconds: 0,
      };
    case 'stopping':
    case 'early-stop':
      return { ...state, status: 'stopping' };
    case 'summary':
      return { ...state, status: 'over' };
    default:
      return state;
  }
}

/** What is left of the epoch and of the run, in seconds; null while there is nothing to go by. */
export function estimateLeft(state: ProgressState): { epoch: number; run: number } | null {
  const { run, step, secondsPerStep, evaluationSeconds } = state;
  if (run === null || step === null || secondsPerStep === null) return null;
  const epochsLeft = run.epochs - step.epoch - 1;
  const stepsLeft = (step.epoch + 1) * run.stepsPerEpoch - step.step - 1;
  const epoch = stepsLeft * secondsPerStep + evaluationSeconds;
  return { epoch, run: epoch + epochsLeft * (run.stepsPerEpoch * secondsPerStep + evaluationSeconds) };
}

function smooth(mean: number | null, value: number): number {
  return mean === null ? value : mean + weightOfNew * (value - mean);
}

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
  const { run, step, recovered, imagesPerSecond } = state;
  if (run === null || step === null) return 'the workers prepare the network';
  const { stepsPerEpoch, epochs } = run;
  const done = step.step - step.epoch * stepsPerEpoch + 1;
  const left = estimateLeft(state);
  const parts = [
    `epoch ${step.epoch + 1}/${epochs} ${renderBar(done / stepsPerEpoch)} ${done}/${stepsPerEpoch}`,
    ...(recovered === null
      ? []
      : [`${formatCount(recovered.worldSize, 'worker')} since step ${recovered.step}`]),
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
