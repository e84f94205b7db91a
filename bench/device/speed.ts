import type { Implementation, Precision, Setting, Work } from '../compute/implementation.js';
import { openRondo } from '../compute/rondo.js';
import { openTorch } from '../compute/torch.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { pairedRatios, takeTurns } from '../support/take-turns.js';

/** Kernels that need not repeat their bits, chosen by how long they take: what a worker does without (binding.ts). */
const unrepeatable = { TF_DETERMINISTIC_OPS: '0', TF_CUDNN_USE_AUTOTUNE: '1' } as const;

/** One implementation's training steps with batches of one size. */
export interface Speed {
  readonly name: string;
  readonly precision: Precision;
  readonly batch: number;
  readonly imagesPerSecond: Quantiles;
  /** Processor time over time: how many cores the process keeps busy. */
  readonly coresBusy: number;
  /** Rondo's images/s over this one's of the same turn; null in Rondo's own row. */
  readonly ratio: Quantiles | null;
}

export interface SpeedOptions {
  readonly setting: Omit<Setting, 'precision' | 'batch'>;
  readonly batches: readonly number[];
  readonly steps: number;
  readonly repeats: number;
  readonly withTorch: boolean;
  /** Asked before each batch size but the first: whether there is time for it. */
  hasTime(): boolean;
}

/**
 * Training steps per second in one precision: Rondo, where there is a choice also with kernels that need not
 * repeat their bits, and PyTorch, in turn. Each is one process, whatever the number of batch sizes. Batches are ready; Rondo
 * augments them on the device.
 */
export async function measureSpeed(precision: Precision, o: SpeedOptions): Promise<readonly Speed[]> {
  const setting: Setting = { ...o.setting, precision, batch: o.batches[0]! };
  const rondo = openRondo(setting, 1);
  const onGpu = setting.device === 'gpu';
  const loose = onGpu ? [openRondo(setting, 1, { name: 'rondo, unrepeatable', extra: unrepeatable })] : [];
  const peers = o.withTorch ? [openTorch(setting, 1, 'channels_last')] : [];
  const implementations = [rondo, ...loose, ...peers];
  try {
    let speeds: readonly Speed[] = [];
    for (const batch of o.batches) {
      if (speeds.length > 0 && !o.hasTime()) break;
      // These are compared at one size: the first.
      const present = implementations.filter((each) => batch === o.batches[0] || !loose.includes(each));
      speeds = [...speeds, ...(await measureBatch(present, { ...o, precision, batch }))];
    }
    return speeds;
  } finally {
    await Promise.all(implementations.map((each) => each.close()));
  }
}

async function measureBatch(
  implementations: readonly Implementation[],
  { precision, batch, steps, repeats }: SpeedOptions & { precision: Precision; batch: number },
): Promise<Speed[]> {
  const work: Work = 'all';
  // Kernels are chosen and memory is taken in the first steps.
  for (const each of implementations) await each.measure({ steps: 3, work, batch });
  const figures = await takeTurns(implementations, repeats, (each) => each.measure({ steps, work, batch }));
  const speedsOf = (index: number) => figures[index]!.map(({ imagesPerSecond }) => imagesPerSecond);
  return implementations.map(({ name }, index) => {
    const busy = figures[index]!.map((each) => each.cpuSecondsPerImage * each.imagesPerSecond);
    return {
      ...{ name, precision, batch },
      imagesPerSecond: quantilesOf(speedsOf(index)),
      coresBusy: quantilesOf(busy).median,
      ratio: index === 0 ? null : quantilesOf(pairedRatios(speedsOf(0), speedsOf(index))),
    };
  });
}
