import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';
import type { ScalingArguments } from './arguments.js';
import type { Shares } from './shares.js';
import type { Speeds } from './speeds.js';

export interface Run {
  readonly speeds: Speeds;
  /** Of Rondo's runs. */
  readonly shares: Shares | null;
}

type SpeedQuantiles = Readonly<Record<keyof Speeds, Quantiles>>;

export interface Result {
  readonly workers: number;
  readonly imagesPerSecond: SpeedQuantiles;
  readonly shares: Readonly<Record<keyof Shares, Quantiles>>;
  /** DistributedDataParallel's images/s, and Rondo's over it, turn by turn. */
  readonly peer: { readonly imagesPerSecond: SpeedQuantiles; readonly ratio: SpeedQuantiles } | null;
}

export interface ScalingReport {
  readonly bench: 'scaling';
  readonly configuration: ScalingArguments;
  readonly environment: Environment;
  /** Versions of the peer's modules; null without peers. */
  readonly peers: Readonly<Record<string, string>> | null;
  readonly results: readonly Result[];
}

/** @param rondo and `peers` by turn */
export function summarize(workers: number, rondo: readonly Run[], peers: readonly Run[] | null): Result {
  const shares = rondo.flatMap((run) => run.shares ?? []);
  return {
    workers,
    imagesPerSecond: bySpeed((speed) => quantilesOf(rondo.map(({ speeds }) => speeds[speed]))),
    shares: byShare((share) => quantilesOf(shares.map((each) => each[share]))),
    peer: peers && {
      imagesPerSecond: bySpeed((speed) => quantilesOf(peers.map(({ speeds }) => speeds[speed]))),
      ratio: bySpeed((speed) =>
        quantilesOf(
          pairedRatios(
            rondo.map(({ speeds }) => speeds[speed]),
            peers.map(({ speeds }) => speeds[speed]),
          ),
        ),
      ),
    },
  };
}

function bySpeed<T>(of: (speed: keyof Speeds) => T): Record<keyof Speeds, T> {
  return { firstEpoch: of('firstEpoch'), laterEpoch: of('laterEpoch') };
}

const shareTexts: Record<keyof Shares, string> = {
  waitData: 'waiting for images',
  gradients: 'gradients, hand-over to the ring',
  waitRanks: 'waiting for slower ranks',
  ringExposed: 'ring after the last gradient',
  apply: 'hand-over of the sum, check, update',
  ringHidden: 'ring during the gradients (not added)',
};

function byShare<T>(of: (share: keyof Shares) => T): Record<keyof Shares, T> {
  const names = Object.keys(shareTexts) as (keyof Shares)[];
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<keyof Shares, T>;
}

export function formatReport({ configuration, environment, peers, results }: ScalingReport): string {
  const { arch, size, batch, wire, repeats } = configuration;
  const versions = peers === null ? '' : `, torch ${peers.torch}`;
  return [
    `scaling: ${arch}, ${size} px, batch ${batch} over all workers, ${wire} on the wire, ${repeats} runs\n${formatEnvironment(environment)}${versions}`,
    ...results.map(formatResult),
  ].join('\n\n');
}

function formatResult({ workers, imagesPerSecond, shares, peer }: Result): string {
  const numbers = ({ median, p10, p90 }: Quantiles, digits: number) =>
    [median, p10, p90].map((value) => value.toFixed(digits));
  const rowsOf = (name: string, speeds: SpeedQuantiles, digits: number) => [
    [`${name}, first epoch`, ...numbers(speeds.firstEpoch, digits)],
    [`${name}, later epochs`, ...numbers(speeds.laterEpoch, digits)],
  ];
  const speeds = [
    ...rowsOf('rondo, images/s', imagesPerSecond, 1),
    ...(peer === null ? [] : rowsOf('torch DDP, images/s', peer.imagesPerSecond, 1)),
    ...(peer === null ? [] : rowsOf('rondo to torch DDP', peer.ratio, 2)),
  ];
  const percents = Object.entries(shareTexts).map(([share, text]) => {
    const { median, p10, p90 } = shares[share as keyof Shares];
    return [text, ...[median, p10, p90].map((value) => `${(100 * value).toFixed(1)} %`)];
  });
  return [
    formatTable([`${workers} workers`, 'median', 'p10', 'p90'], speeds),
    formatTable(['share of the step', 'median', 'p10', 'p90'], percents),
  ].join('\n\n');
}
