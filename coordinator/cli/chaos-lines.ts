import type { ChaosEvent, ChaosResult } from '../chaos/chaos-events.js';
import type { Quantiles } from '../chaos/figures.js';
import type { WatchedEvent } from '../chaos/run-events.js';
import { alignColumns, formatCount, formatDuration, formatPercent, noFigure } from '../terminal/figures.js';

/** The lines that an event of a trial leaves for good. */
export function renderChaosEvent(event: ChaosEvent): string[] {
  switch (event.kind) {
    case 'progress':
      return [];
    case 'outcome': {
      const { run, steps, samples, seconds, stateDigest } = event;
      const speed = (samples / Math.max(seconds, 1e-3)).toFixed(1);
      return [
        `${run}: ${formatCount(steps, 'step')} in ${formatDuration(seconds)}, ${speed} images/s, state ${stateDigest.slice(0, 16)}…`,
      ];
    }
    case 'fault':
      return [`${stamp(event.seconds)}  after step ${event.steps}: ${describeFault(event)}`];
    case 'left-out':
      return [`${stamp(event.seconds)}  ${event.fault} left out: ${event.reason}`];
    case 'said':
      return describeSaid(event.event).map((text) => `${stamp(event.seconds)}    ${text}`);
  }
}

function stamp(seconds: number): string {
  return formatDuration(seconds).padStart(7);
}

function describeFault(event: Extract<ChaosEvent, { kind: 'fault' }>): string {
  const { fault, worker, workers, lasts, oneWay } = event;
  switch (fault) {
    case 'kill':
      return `${worker} is killed (SIGKILL)`;
    case 'stop':
      return `${worker} is stopped for ${lasts.toFixed(1)} s (SIGSTOP, SIGCONT)`;
    case 'partition': {
      const what = oneWay
        ? `what ${worker} sends the coordinator is held back`
        : `${worker} and the coordinator are cut off from each other`;
      return `${what} for ${lasts.toFixed(1)} s`;
    }
    case 'leave':
      return `${worker} is told to leave (SIGTERM), and replaced ${lasts.toFixed(1)} s later`;
    case 'scale':
      return `scaled from ${workers?.[0]} to ${formatCount(workers?.[1] ?? 0, 'worker')}`;
    case 'coordinator':
      return `the coordinator is killed (SIGKILL), and started again ${lasts.toFixed(1)} s later`;
  }
}

const causeWords: Readonly<Record<string, string>> = {
  ...{ loss: 'was lost', complaint: 'could not go on', join: 'joined', leave: 'left' },
  restart: 'was started again',
};

function describeSaid(event: WatchedEvent): string[] {
  if (event.kind === 'recovered') {
    const { causes, step, worldSize, seconds, stepsRedone } = event;
    const why = causes
      .map(({ kind, workerId = 'the coordinator' }) => `${workerId} ${causeWords[kind] ?? kind}`)
      .join(', ');
    const again = stepsRedone === 0 ? '' : `, ${formatCount(stepsRedone, 'step')} taken again`;
    return [
      `${why}: going on at step ${step} with ${formatCount(worldSize, 'worker')} after ${seconds.toFixed(1)} s${again}`,
    ];
  }
  if (event.kind === 'rolled-back') {
    return [`nobody held the state any more: from step ${event.fromStep} back to step ${event.toStep}`];
  }
  if (event.kind === 'prepared' && event.startStep > 0) {
    return [`the coordinator is back, and goes on from its checkpoint of step ${event.startStep}`];
  }
  return [];
}

/** The result as a person reads it. `silenceSeconds` is the run's silence limit. */
export function renderChaosResult(result: ChaosResult, silenceSeconds: number): string[] {
  const { figures, undisturbed, disturbed, goodput, equal } = result;
  const { detection, recovery, stepping, evaluating, pause, coordinatorBack, stepsRedone, losses } = figures;
  const stepSeconds = (undisturbed.seconds / Math.max(undisturbed.steps, 1)).toFixed(1);
  const rows = [
    ['', 'times', 'p50', 'p95', 'aim'],
    row('killed worker noticed', detection.closed, '0.5 s'),
    row('silent worker noticed', detection.silent, `${silenceSeconds} s, the silence limit`),
    row('going on, since noticed', recovery, '3 s'),
    row('next step done, since noticed', stepping, `an undisturbed step takes ${stepSeconds} s`),
    row('rest of evaluation done, since noticed', evaluating, noFigure),
    row('pause when a worker joins or leaves', pause, '2 s'),
    row('stepping again after the coordinator died', coordinatorBack, noFigure),
  ].filter(([, times], index) => index === 0 || times !== '0');
  const speed = ({ samples, seconds }: ChaosResult['disturbed']) =>
    (samples / Math.max(seconds, 1e-3)).toFixed(1);
  return [
    '',
    ...alignColumns(rows, (column) => column > 0 && column < 4),
    '',
    `steps cut off and taken again: ${stepsRedone}, by ${formatCount(losses, 'loss', 'losses')}; from checkpoints: ${describeRolledBack(figures)}`,
    `goodput: ${formatPercent(goodput, 0)} of the undisturbed run (${speed(undisturbed)} → ${speed(disturbed)} images/s)`,
    `ledger: ${disturbed.ledgerDifference ?? `each sample used exactly once in every epoch, ${formatCount(disturbed.steps, 'step')} as planned`}`,
    `left behind: ${describeLeft(result)}`,
    `sha256 of the state: ${disturbed.stateDigest}, ${
      equal ? "equal to the undisturbed run's" : `NOT the undisturbed run's ${undisturbed.stateDigest}`
    }`,
    ...(result.folder === null ? [] : [`both runs are in ${result.folder}`]),
  ];
}

function describeRolledBack({ stepsRolledBack, needlessRollbacks }: ChaosResult['figures']): string {
  if (needlessRollbacks === 0) return String(stepsRolledBack);
  return `${stepsRolledBack}, ${formatCount(needlessRollbacks, 'time')} THOUGH a worker held the state`;
}

function row(what: string, quantiles: Quantiles | null, aim: string): string[] {
  const show = (seconds: number | undefined) =>
    seconds === undefined ? noFigure : `${seconds.toFixed(2)} s`;
  return [what, String(quantiles?.count ?? 0), show(quantiles?.p50), show(quantiles?.p95), aim];
}

function describeLeft({ processesLeft, sharedFilesLeft }: ChaosResult): string {
  const list = (what: string, left: readonly (string | number)[] | null) => {
    if (left === null) return `${what} cannot be listed here`;
    return left.length === 0 ? `no ${what}` : `${what} ${left.join(', ')}`;
  };
  return `${list('processes', processesLeft)}; ${list('files in shared memory', sharedFilesLeft)}`;
}
