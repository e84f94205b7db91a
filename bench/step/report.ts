import type { Trainable } from '../../plan/run-config.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import type { Workers } from './arguments.js';
import type { Figure, Setting } from './contestant.js';
import { pairedRatios } from './throughput.js';

export interface Lane {
  readonly name: string;
  readonly trainable: Trainable;
  readonly imagesPerSecond: Quantiles;
  readonly cpuSecondsPerImage: Quantiles;
}

export interface Result {
  readonly size: number;
  readonly workers: Workers;
  readonly lanes: readonly Lane[];
  /** Rondo's images/s over the peer's of the same turn, and processor time the other way round; above 1, Rondo is ahead. */
  readonly peerRatio: { readonly speed: Quantiles; readonly cpu: Quantiles } | null;
  /** Time of a frozen step over that of an unfrozen one, by the clock and by the processor. */
  readonly frozenRatio: { readonly time: Quantiles; readonly cpu: Quantiles };
}

export interface StepReport extends Pick<Setting, 'arch' | 'batch' | 'classes' | 'input'> {
  readonly bench: 'step';
  readonly steps: number;
  readonly repeats: number;
  readonly environment: Environment;
  /** Versions of the peer's modules; null without peers. */
  readonly peers: Readonly<Record<string, string>> | null;
  readonly results: readonly Result[];
}

interface MeasuredLane extends Pick<Lane, 'name' | 'trainable'> {
  readonly figures: readonly Figure[];
}

/** `lanes` hold Rondo's own two, frozen and unfrozen, and the peer's where there is one. */
export function summarize(
  configuration: Pick<Result, 'size' | 'workers'>,
  lanes: readonly MeasuredLane[],
): Result {
  const figuresOf = (name: string, trainable: Trainable) =>
    lanes.find((lane) => lane.name === name && lane.trainable === trainable)?.figures;
  const unfrozen = figuresOf('rondo', 'all')!;
  const frozen = figuresOf('rondo', 'frozen')!;
  const peer = figuresOf('torch', 'all');
  return {
    ...configuration,
    lanes: lanes.map(({ name, trainable, figures }) => ({
      ...{ name, trainable },
      imagesPerSecond: quantilesOf(figures.map(speedOf)),
      cpuSecondsPerImage: quantilesOf(figures.map(cpuOf)),
    })),
    peerRatio:
      peer === undefined
        ? null
        : { speed: ratiosOf(unfrozen, peer, speedOf), cpu: ratiosOf(peer, unfrozen, cpuOf) },
    frozenRatio: { time: ratiosOf(unfrozen, frozen, speedOf), cpu: ratiosOf(frozen, unfrozen, cpuOf) },
  };
}

function ratiosOf(
  figures: readonly Figure[],
  others: readonly Figure[],
  read: (figure: Figure) => number,
): Quantiles {
  return quantilesOf(pairedRatios(figures.map(read), others.map(read)));
}

const speedOf = (figure: Figure) => figure.imagesPerSecond;
const cpuOf = (figure: Figure) => figure.cpuSecondsPerImage;

export function formatReport(report: StepReport): string {
  const { arch, batch, input, repeats, steps, environment, peers } = report;
  const versions = peers === null ? '' : `, torch ${peers.torch}`;
  const title = `${arch}, batch ${batch} per worker, fed with ${input}, ${repeats} turns of ${steps} steps; ${formatEnvironment(environment)}${versions}`;
  return [title, ...report.results.map(formatResult)].join('\n\n');
}

function formatResult({ size, workers, lanes, peerRatio, frozenRatio }: Result): string {
  const { processes, threads } = workers;
  const head = [`${size} px, ${processes} × ${threads} threads`, 'images/s', 'p10', 'p90', 'CPU ms/image'];
  const rows = lanes.map(({ name, trainable, imagesPerSecond, cpuSecondsPerImage }) => [
    trainable === 'all' ? name : `${name}, frozen`,
    ...[imagesPerSecond.median, imagesPerSecond.p10, imagesPerSecond.p90].map((value) => value.toFixed(1)),
    (1000 * cpuSecondsPerImage.median).toFixed(1),
  ]);
  const ratios = [
    ...(peerRatio === null
      ? []
      : [
          ['images/s, rondo to torch', peerRatio.speed] as const,
          ['CPU time, torch to rondo', peerRatio.cpu] as const,
        ]),
    ['time, frozen to unfrozen', frozenRatio.time] as const,
    ['CPU time, frozen to unfrozen', frozenRatio.cpu] as const,
  ];
  const ratioRows = ratios.map(([name, { median, p10, p90 }]) => [
    name,
    ...[median, p10, p90].map((value) => value.toFixed(2)),
  ]);
  return `${formatTable(head, rows)}\n\n${formatTable(['ratios, turn by turn', 'median', 'p10', 'p90'], ratioRows)}`;
}
