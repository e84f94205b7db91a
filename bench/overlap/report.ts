import type { FloatType } from '../../plan/run-config.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import type { OverlapArguments } from './arguments.js';
import type { StepTimes } from './task.js';
import type { WorldFigures } from './world.js';

/** What is measured: DDP hands its buckets to gloo during the backward pass, as float32. */
export interface Way {
  readonly by: 'rondo' | 'ddp';
  readonly wire: FloatType;
  readonly overlapped: boolean;
}

export interface Result extends Way, Readonly<Record<keyof StepTimes, Quantiles>> {
  /** Processor seconds of all ranks together, per step. */
  readonly cpuSeconds: number;
}

export interface OverlapReport {
  readonly bench: 'overlap';
  readonly configuration: OverlapArguments;
  readonly environment: Environment;
  readonly results: readonly Result[];
  /** Exposed ring time with parts overlapped to without, by wire: medians. */
  readonly exposedRatios: Readonly<Record<string, number>>;
  /** Versions of the peer's modules; null where it was not measured. */
  readonly peers: Readonly<Record<string, string>> | null;
}

/** @param measurements of one wire in one way */
export function summarize(way: Way, measurements: readonly WorldFigures[]): Result {
  const steps = measurements.flatMap(({ times }) => times);
  const quantiles = (key: keyof StepTimes) => quantilesOf(steps.map((step) => step[key]));
  const cpu = measurements.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / measurements.length;
  return {
    ...way,
    gradients: quantiles('gradients'),
    ring: quantiles('ring'),
    ringExposed: quantiles('ringExposed'),
    step: quantiles('step'),
    cpuSeconds: cpu,
  };
}

export function exposedRatios(results: readonly Result[]): Record<string, number> {
  const ratios: Record<string, number> = {};
  const own = results.filter(({ by }) => by === 'rondo');
  for (const { wire, ringExposed, overlapped } of own) {
    const other = own.find((result) => result.wire === wire && !result.overlapped);
    if (overlapped && other) ratios[wire] = ringExposed.median / other.ringExposed.median;
  }
  return ratios;
}

const milliseconds = ({ median, p10, p90 }: Quantiles) =>
  `${[median, p10, p90].map((value) => (1000 * value).toFixed(0)).join(' ')}`;

export function formatReport(report: OverlapReport): string {
  const { configuration, environment, results, exposedRatios, peers } = report;
  const torch = peers === null ? '' : `, torch ${peers.torch}`;
  const { ranks, threads, arch, size, batch, rate, tls } = configuration;
  const rows = results.map((result) => [
    result.by === 'ddp'
      ? 'DDP over gloo'
      : `${result.wire}, ${result.overlapped ? 'in parts' : 'afterwards'}`,
    ...[result.gradients, result.ring, result.ringExposed, result.step].map(milliseconds),
    (1000 * result.cpuSeconds).toFixed(0),
  ]);
  const head = ['ms: median p10 p90', 'gradients', 'ring', 'ring exposed', 'step', 'CPU, all ranks'];
  return [
    `${arch}, ${size} px, ${ranks} ranks with ${threads} thread(s), batch ${batch} each, links of ${rate} MB/s${tls ? ', TLS' : ''}${torch}`,
    formatEnvironment(environment),
    '',
    formatTable(head, rows),
    '',
    ...Object.entries(exposedRatios).map(
      ([wire, ratio]) => `ring exposed, in parts to afterwards, ${wire}: ${ratio.toFixed(2)}`,
    ),
  ].join('\n');
}
