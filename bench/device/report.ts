import type { Precision } from '../compute/implementation.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import type { Correctness } from './compare-case.js';
import type { HandOverRound, HandOverTimes } from './place.js';
import type { Probe } from './probe.js';
import type { Speed } from './speed.js';

/** Whether two processes come to the same state, bit for bit. */
export interface Repeatability {
  readonly precision: Precision;
  readonly sameBits: boolean;
}

export interface DeviceReport {
  readonly bench: 'device';
  readonly environment: Environment;
  readonly probe: Probe;
  readonly size: number;
  readonly correctness: readonly Correctness[];
  readonly repeatability: readonly Repeatability[];
  readonly speeds: readonly Speed[];
  readonly handOver: { readonly batch: number; readonly times: HandOverTimes } | null;
  readonly peers: Readonly<Record<string, string>> | null;
  /** Parts that there was no time for. */
  readonly leftOut: readonly string[];
  /** Whether all that was measured is within its bounds and repeats itself. */
  readonly passed: boolean;
}

export function formatReport(report: DeviceReport): string {
  const { environment, probe, peers } = report;
  const torch = peers === null ? '' : `, torch ${peers.torch}`;
  const where = probe.card ?? 'the CPU';
  return [
    `device: ${where}, TensorFlow ${probe.tensorflow}\n${formatEnvironment(environment)}${torch}`,
    ...(probe.obstacles.length > 0 ? [`TensorFlow takes no GPU:\n${probe.obstacles.join('\n')}`] : []),
    formatCorrectness(report.correctness),
    formatRepeatability(report.repeatability),
    formatSpeeds(report.size, report.speeds),
    ...(report.handOver === null ? [] : [formatHandOver(report.handOver)]),
    ...(report.leftOut.length > 0 ? [`no time for: ${report.leftOut.join('; ')}`] : []),
    report.passed ? 'passed' : 'FAILED: see `no` above',
  ].join('\n\n');
}

const word = (good: boolean) => (good ? 'yes' : 'no');

function formatCorrectness(found: readonly Correctness[]): string {
  const head = ['to the stored float64 results', 'relative distance', 'bound', 'within', 'worst tensor', ''];
  const rows = found.flatMap(({ precision, kinds }) =>
    kinds.map(({ kind, all, worst, where, bound, met }) => [
      `${precision}, ${kind}`,
      ...[all, bound].map((value) => value.toExponential(1)),
      word(met),
      worst.toExponential(1),
      where,
    ]),
  );
  return formatTable(head, rows);
}

function formatRepeatability(found: readonly Repeatability[]): string {
  return formatTable(
    ['two processes', 'the same bits'],
    found.map(({ precision, sameBits }) => [precision, word(sameBits)]),
  );
}

function formatSpeeds(size: number, speeds: readonly Speed[]): string {
  const head = [
    `training, ${size} px`,
    'batch',
    'images/s',
    'p10',
    'p90',
    'ms/step',
    'cores busy',
    'ratio',
    'p10',
    'p90',
  ];
  const rows = speeds.map(({ name, precision, batch, imagesPerSecond, coresBusy, ratio }) => [
    `${name}, ${precision}`,
    String(batch),
    ...[imagesPerSecond.median, imagesPerSecond.p10, imagesPerSecond.p90].map((value) => value.toFixed(1)),
    ((1000 * batch) / imagesPerSecond.median).toFixed(1),
    coresBusy.toFixed(2),
    ...(ratio === null
      ? ['', '', '']
      : [ratio.median, ratio.p10, ratio.p90].map((value) => value.toFixed(2))),
  ]);
  return `${formatTable(head, rows)}\nratio: images/s of rondo's row above to this one`;
}

function formatHandOver({ batch, times }: { batch: number; times: HandOverTimes }): string {
  const rate = (bytes: number, ms: number) => `${(bytes / ms / 1e6).toFixed(1)} GB/s`;
  const { stateBytes, vectorBytes, rounds } = times;
  const median = (name: keyof HandOverRound) => quantilesOf(rounds.map((round) => round[name])).median;
  const rows = [
    ['the whole state to the host', median('save'), rate(stateBytes, median('save'))],
    ['the whole state to the device', median('load'), rate(stateBytes, median('load'))],
    [`gradients of ${batch} samples, vector to the host`, median('gradients'), ''],
    ['sum to the device, update', median('update'), ''],
    [`gradients of ${batch} samples, kept where they are`, median('keptGradients'), ''],
    ['update from there', median('keptUpdate'), ''],
  ] as const;
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  return formatTable(
    [`hand-over (state ${megabytes(stateBytes)}, vector ${megabytes(vectorBytes)})`, 'ms', ''],
    rows.map(([name, ms, at]) => [name, ms.toFixed(1), at]),
  );
}
