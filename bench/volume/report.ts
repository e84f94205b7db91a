import { type Environment, formatEnvironment } from '../support/environment.js';
import { quantilesOf } from '../support/quantiles.js';
import type { MemorySample } from '../support/resident-memory.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';

interface Watched {
  readonly images: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly memory: readonly MemorySample[];
}

/** An epoch, 0 being the one with empty caches. */
export interface PassFigures extends Watched {
  readonly name: string;
  readonly epoch: number;
  /** Of all workers, for an image. */
  readonly cpuMs: number;
  readonly megabytesSent: number;
}

export interface VolumeReport {
  readonly bench: string;
  readonly images: number;
  readonly workers: number;
  readonly size: number;
  readonly presize: number;
  readonly side: number;
  readonly environment: Environment;
  readonly passes: readonly PassFigures[];
  /** Since its first step. */
  readonly trained: Watched;
}

/** Times at which memory is printed, as shares of a pass. */
const shares = [0, 0.25, 0.5, 0.75, 1];

export function formatReport({ passes, trained, ...o }: VolumeReport): string {
  const rates = passes.map(({ name, epoch, images, imagesPerSecond, cpuMs, megabytesSent }) => [
    `${name}, ${epoch === 0 ? 'cold' : 'warm'}`,
    ...[images, imagesPerSecond].map((value) => value.toFixed(0)),
    cpuMs.toFixed(2),
    name === 'local' ? '-' : megabytesSent.toFixed(0),
  ]);
  const training = ['training', trained.images.toFixed(0), trained.imagesPerSecond.toFixed(0), '-', '-'];
  const { median, p10, p90 } = warmRatio(passes);
  const memory = [
    ...passes.map((pass) => [`${pass.name}, epoch ${pass.epoch}`, pass] as const),
    ['training', trained] as const,
  ];
  // The other source's workers wait meanwhile.
  const rows = memory.flatMap(([pass, { memory: samples }]) =>
    processesOf(samples)
      .filter((name) => name.startsWith(pass.split(',')[0]!))
      .map((name) => [`${pass}: ${name}`, ...shares.map((share) => at(samples, name, share))]),
  );
  return [
    formatEnvironment(o.environment),
    `${o.images} images of ${o.side} × ${o.side}, presized to ${o.presize}, ${o.workers} workers with one thread each`,
    formatTable(['', 'images', 'images/s', 'CPU ms/image', 'MB sent'], [...rates, training]),
    `warm, HTTP to local, turn by turn: ${median.toFixed(2)} (${p10.toFixed(2)}–${p90.toFixed(2)})`,
    '',
    formatTable(['memory in MB at', ...shares.map((share) => `${100 * share} %`)], rows),
  ].join('\n');
}

/** Of images/s, over the epochs that both have read. */
export function warmRatio(passes: readonly PassFigures[]) {
  const warm = (name: string) =>
    passes.filter((pass) => pass.name === name && pass.epoch > 0).map((pass) => pass.imagesPerSecond);
  return quantilesOf(pairedRatios(warm('HTTP'), warm('local')));
}

function processesOf(samples: readonly MemorySample[]): string[] {
  return [...new Set(samples.flatMap(({ megabytes }) => Object.keys(megabytes)))];
}

function at(samples: readonly MemorySample[], name: string, share: number): string {
  const sample = samples[Math.round(share * (samples.length - 1))];
  return sample?.megabytes[name]?.toFixed(0) ?? '-';
}
