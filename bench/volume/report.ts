import { type Environment, formatEnvironment } from '../support/environment.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import type { MemorySample } from '../support/resident-memory.js';
import { formatTable } from '../support/table.js';
import { pairedRatios } from '../support/take-turns.js';

export interface Watched {
  readonly images: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly memory: readonly MemorySample[];
}

/** What a turn of all workers came to. */
export interface Figures {
  readonly images: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly megabytesSent: number;
}

/** An epoch, 0 being the one with empty caches. */
export interface PassFigures {
  readonly name: string;
  readonly epoch: number;
  readonly turns: readonly Figures[];
  readonly memory: readonly MemorySample[];
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
  /** Since its first step; null when it was not asked for. */
  readonly trained: Watched | null;
}

/** Times at which memory is printed, as shares of a pass. */
const shares = [0, 0.25, 0.5, 0.75, 1];

export function formatReport({ passes, trained, ...o }: VolumeReport): string {
  const rates = passes.map(({ name, epoch, turns }) => {
    const whole = addUp(turns);
    return [
      `${name}, ${epoch === 0 ? 'cold' : 'warm'}`,
      ...[whole.images, rateOf(whole)].map((value) => value.toFixed(0)),
      (1_000 * cpuOf(whole)).toFixed(3),
      name === 'local' ? '-' : whole.megabytesSent.toFixed(0),
    ];
  });
  const training =
    trained === null
      ? []
      : [['training', trained.images.toFixed(0), trained.imagesPerSecond.toFixed(0), '-', '-']];
  const memory = [
    ...passes.map((pass) => [`${pass.name}, epoch ${pass.epoch}`, pass] as const),
    ...(trained === null ? [] : [['training', trained] as const]),
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
    formatTable(['', 'images', 'images/s', 'CPU ms/image', 'MB sent'], [...rates, ...training]),
    ...describeWarm(passes),
    '',
    formatTable(['memory in MB at', ...shares.map((share) => `${100 * share} %`)], rows),
  ].join('\n');
}

function describeWarm(passes: readonly PassFigures[]): string[] {
  const show = ({ median, p10, p90 }: Quantiles) =>
    `${median.toFixed(3)} (${p10.toFixed(3)}–${p90.toFixed(3)})`;
  const { turns, rate, cpu, wholeRate, wholeCpu } = warmRatios(passes);
  return [
    `warm, HTTP to local, ${turns} turns: images/s ${show(rate)}, of all together ${wholeRate.toFixed(3)}`,
    `processor time per image ${show(cpu)}, of all together ${wholeCpu.toFixed(3)}`,
  ];
}

/** Of images/s and of processor time per image, over the epochs that both have read: turn by turn, and of their sums. */
function warmRatios(passes: readonly PassFigures[]) {
  const [http, local] = ['HTTP', 'local'].map((name) =>
    passes.filter((pass) => pass.name === name && pass.epoch > 0).flatMap((pass) => pass.turns),
  ) as [Figures[], Figures[]];
  const [wholeHttp, wholeLocal] = [addUp(http), addUp(local)];
  return {
    turns: http.length,
    rate: quantilesOf(pairedRatios(http.map(rateOf), local.map(rateOf))),
    cpu: quantilesOf(pairedRatios(http.map(cpuOf), local.map(cpuOf))),
    wholeRate: rateOf(wholeHttp) / rateOf(wholeLocal),
    wholeCpu: cpuOf(wholeHttp) / cpuOf(wholeLocal),
  };
}

/** Images/s. */
const rateOf = ({ images, seconds }: Figures) => images / seconds;
/** Seconds of processor time for an image. */
const cpuOf = ({ images, cpuSeconds }: Figures) => cpuSeconds / images;

function addUp(turns: readonly Figures[]): Figures {
  const sum = (figure: keyof Figures) => turns.reduce((total, turn) => total + turn[figure], 0);
  return {
    ...{ images: sum('images'), seconds: sum('seconds') },
    ...{ cpuSeconds: sum('cpuSeconds'), megabytesSent: sum('megabytesSent') },
  };
}

function processesOf(samples: readonly MemorySample[]): string[] {
  return [...new Set(samples.flatMap(({ megabytes }) => Object.keys(megabytes)))];
}

function at(samples: readonly MemorySample[], name: string, share: number): string {
  const sample = samples[Math.round(share * (samples.length - 1))];
  return sample?.megabytes[name]?.toFixed(0) ?? '-';
}
