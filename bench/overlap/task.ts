import type { Arch, FloatType } from '../../plan/run-config.js';
import { largest, smallest } from '../../runtime/extremes.js';

/** What a rank is started with. */
export interface Setting {
  readonly rank: number;
  /** By rank. */
  readonly addresses: readonly string[];
  readonly arch: Arch;
  readonly size: number;
  readonly batch: number;
}

/** What it is asked: so many steps with its parts overlapped, or with the ring after all of them. */
export interface Task {
  readonly wire: FloatType;
  readonly overlapped: boolean;
  readonly steps: number;
}

/** Seconds of one step. */
export interface StepTimes {
  readonly gradients: number;
  readonly ring: number;
  readonly ringExposed: number;
  readonly step: number;
}

/** What it answers. */
export interface Answer {
  readonly times: readonly StepTimes[];
  /** Processor time of the process, per step. */
  readonly cpuSeconds: number;
  /** Of the state after the last step: the same on all ranks. */
  readonly digest: string;
}

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
