import type { FloatType } from '../../plan/run-config.js';
import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { formatTable } from '../support/table.js';
import type { Measured } from './implementation.js';

export interface Result {
  readonly name: string;
  readonly wire: FloatType;
  readonly megabytes: number;
  /** Over all rounds of all repeats. */
  readonly seconds: Quantiles;
  /** Processor seconds of all ranks together, per round. */
  readonly cpuSeconds: number;
  /** MB of the float32 vector (10^6 bytes) per second; p10 is the slow end. */
  readonly algbw: Quantiles;
  /** algbw × 2(N−1)/N: what each rank sends and receives, did it travel as float32. */
  readonly busbw: Quantiles;
  /** What the machine that sends most sends in a round, in 10^6 bytes; null on loopback. */
  readonly sentMegabytes: number | null;
}

export interface AllReduceReport {
  readonly bench: 'all-reduce';
  readonly ranks: number;
  /** Of Rondo's rings. */
  readonly lanes: number;
  /** As the arguments say. */
  readonly hosts: number | null;
  /** MB/s of each machine's link; null on loopback. */
  readonly rate: number | null;
  readonly rounds: number;
  readonly repeats: number;
  readonly environment: Environment;
  /** Versions of the peer's modules; null without peers. */
  readonly peers: Readonly<Record<string, string>> | null;
  readonly results: readonly Result[];
}

export function summarize(
  o: { name: string; wire: FloatType; length: number; ranks: number },
  figures: readonly Measured[],
): Result {
  const megabytes = (o.length * 4) / 1e6;
  const seconds = figures.flatMap((each) => each.seconds);
  const algbw = quantilesOf(seconds.map((value) => megabytes / value));
  const share = (2 * (o.ranks - 1)) / o.ranks;
  const { p10, median, p90 } = algbw;
  const sent = figures.map(({ sentBytes }) => sentBytes).filter((bytes) => bytes !== null);
  return {
    ...{ name: o.name, wire: o.wire, megabytes, seconds: quantilesOf(seconds) },
    cpuSeconds: figures.reduce((sum, each) => sum + each.cpuSeconds, 0) / figures.length,
    algbw,
    busbw: { p10: p10 * share, median: median * share, p90: p90 * share },
    sentMegabytes: sent.length === 0 ? null : sent.reduce((sum, bytes) => sum + bytes, 0) / sent.length / 1e6,
  };
}

/** A table with the ratio to gloo's median algbw of the same size, where there is one. */
export function formatReport(report: AllReduceReport): string {
  const head = [
    '',
    'MB',
    'ms',
    'p10',
    'p90',
    'CPU ms',
    'CPU s/GB',
    'MB sent',
    'algbw MB/s',
    'busbw MB/s',
    'p10',
    'p90',
    'ratio',
  ];
  const rows = report.results.map((result) => {
    const peer = report.results.find(
      ({ name, megabytes }) => name === 'gloo' && megabytes === result.megabytes,
    );
    return [
      `${result.name}, ${result.wire}`,
      result.megabytes.toFixed(1),
      ...[result.seconds.median, result.seconds.p10, result.seconds.p90, result.cpuSeconds].map((value) =>
        (value * 1000).toFixed(1),
      ),
      (result.cpuSeconds / (result.megabytes * 1e-3 * 2 * (report.ranks - 1))).toFixed(2),
      result.sentMegabytes?.toFixed(1) ?? '-',
      ...[result.algbw.median, result.busbw.median, result.busbw.p10, result.busbw.p90].map((value) =>
        value.toFixed(0),
      ),
      peer === undefined ? '-' : (result.algbw.median / peer.algbw.median).toFixed(2),
    ];
  });
  const torch = report.peers === null ? '' : `, torch ${report.peers.torch}`;
  const hosts = report.hosts === null ? '' : ` of ${report.hosts} machines`;
  const title = `all-reduce over ${report.ranks} processes${hosts} on ${report.rate === null ? 'loopback' : `links of ${report.rate} MB/s`}, ${report.rounds * report.repeats} rounds; ${formatEnvironment(report.environment)}${torch}`;
  return `${title}\n\n${formatTable(head, rows)}`;
}
