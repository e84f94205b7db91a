import { z } from 'zod';
import type { ScalingArguments } from './arguments.js';

/** One run of two epochs that every implementation makes, and the pictures that it trains on. */
export interface Setting extends Pick<ScalingArguments, 'size' | 'batch' | 'arch' | 'wire'> {
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
  readonly files: readonly string[];
}

export const madeSchema = z.object({
  epoch: z.int().nonnegative(),
  /** Over all workers. */
  samples: z.int().positive(),
  /** When, on any clock. */
  seconds: z.number(),
});

/** A step that all workers have made. */
export type Made = Readonly<z.infer<typeof madeSchema>>;

/** Images per second of the whole loop, over all workers. */
export interface Speeds {
  /** In which every image is decoded. */
  readonly firstEpoch: number;
  readonly laterEpoch: number;
}

/**
 * Steps of a run that are not counted: kernels are chosen, memory is taken, and what was read ahead is used
 * up.
 */
export const warmUpSteps = 3;

/** @throws Error when an epoch has too few steps. */
export function speedsOf(steps: readonly Made[]): Speeds {
  return { firstEpoch: speedOf(steps, 0, warmUpSteps), laterEpoch: speedOf(steps, 1, 0) };
}

/** From the end of one step to that of the epoch's last: validation and checkpoints lie outside. */
function speedOf(steps: readonly Made[], epoch: number, from: number): number {
  const [start, ...counted] = steps.filter((step) => step.epoch === epoch).slice(from);
  if (start === undefined || counted.length === 0) throw new Error(`epoch ${epoch} has too few steps`);
  const samples = counted.reduce((sum, step) => sum + step.samples, 0);
  return samples / (counted.at(-1)!.seconds - start.seconds);
}
