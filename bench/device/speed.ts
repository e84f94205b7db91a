import type { Implementation, Precision, Setting, Work } from '../compute/implementation.js';
import { openRondo } from '../compute/rondo.js';
import { openTorch } from '../compute/torch.js';
import { type Quantiles, quantilesOf } from '../support/quantiles.js';
import { pairedRatios, takeTurns } from '../support/take-turns.js';

/** Kernels that give the same bits each time: no atomic additions, none chosen by a stopwatch. */
export const deterministic = { TF_DETERMINISTIC_OPS: '1', TF_CUDNN_USE_AUTOTUNE: '0' } as const;

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
 * Training steps per second in one precision: Rondo, with deterministic kernels where there is a choice, and
 * PyTorch, in turn. Each is one process, whatever the number of batch sizes. Batches are ready; Rondo
 * augments them on the device.
 */
export async function measureSpeed(precision: Precision, o: SpeedOptions): Promise<readonly Speed[]> {
  const setting: Setting = { ...o.setting, precision, batch: o.batches[0]! };
  const rondo = openRondo(setting, 1);
  const onGpu = setting.device === 'gpu';
  const steady = onGpu ? [openRondo(setting, 1, { name: 'rondo, deterministic', extra: deterministic })] : [];
  const peers = o.withTorch ? [openTorch(setting, 1, 'channels_last')] : [];
  const implementations = [rondo, ...steady, ...peers];
  try {
    let speeds: readonly Speed[] = [];
    for (const batch of o.batches) {
      if (speeds.length > 0 && !o.hasTime()) break;
      // Deterministic kernels are compared at one size: the first.
      const present = implementations.filter((each) => batch === o.batches[0] || !steady.includes(each));
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
