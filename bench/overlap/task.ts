import { z } from 'zod';
import { archs, floatTypes } from '../../plan/run-config.js';
import { largest, smallest } from '../../runtime/extremes.js';
import { certificateSchema } from '../support/credentials.js';

const count = z.int().positive();

export const settingSchema = z.object({
  rank: z.int().nonnegative(),
  /** By rank. */
  addresses: z.array(z.string()),
  arch: z.enum(archs),
  size: count,
  batch: count,
  certificate: certificateSchema,
});

/** What a rank is started with. */
export type Setting = Readonly<z.infer<typeof settingSchema>>;

export const taskSchema = z.object({
  wire: z.enum(floatTypes),
  overlapped: z.boolean(),
  steps: count,
});

/** What it is asked: so many steps with its parts overlapped, or with the ring after all of them. */
export type Task = Readonly<z.infer<typeof taskSchema>>;

const stepTimesSchema = z.object({
  gradients: z.number(),
  ring: z.number(),
  ringExposed: z.number(),
  step: z.number(),
});

/** Seconds of one step. */
export type StepTimes = Readonly<z.infer<typeof stepTimesSchema>>;

export const answerSchema = z.object({
  times: z.array(stepTimesSchema),
  /** Processor time of the process, per step. */
  cpuSeconds: z.number(),
  /** Of the state after the last step: the same on all ranks. */
  digest: z.string(),
});

/** What it answers. */
export type Answer = z.infer<typeof answerSchema>;

/**
 * One step of all ranks. The gradients are known when the slowest rank has them, and only then is a wait for
 * the ring the ring's: its times are therefore the smallest of all ranks.
 */
export function mergeRanks(ranks: readonly StepTimes[]): StepTimes {
  return {
    gradients: largest(ranks.map(({ gradients }) => gradients)),
    ring: smallest(ranks.map(({ ring }) => ring)),
    ringExposed: smallest(ranks.map(({ ringExposed }) => ringExposed)),
    step: largest(ranks.map(({ step }) => step)),
  };
}
