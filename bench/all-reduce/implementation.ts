import type { FloatType } from '../../plan/run-config.js';
import { largest } from '../../runtime/extremes.js';

/** What one rank is asked: so many rounds over a float32 vector of `length`. */
export interface Task {
  readonly length: number;
  readonly wire: FloatType;
  readonly rounds: number;
}

/** What one rank answers. A round begins when all ranks are ready for it. */
export interface RankFigures {
  readonly seconds: readonly number[];
  /** Processor time of the rank's process over all rounds. */
  readonly cpuSeconds: number;
}

export interface Figures {
  /** Of each round, the slowest rank's. */
  readonly seconds: readonly number[];
  /** Per round, of all ranks together. */
  readonly cpuSeconds: number;
}

/** One implementation's ring of processes, ready and idle between measurements. */
export interface Implementation {
  readonly name: string;
  measure(task: Task): Promise<Figures>;
  close(): Promise<void>;
}

export function mergeRanks(ranks: readonly RankFigures[], rounds: number): Figures {
  return {
    seconds: Array.from({ length: rounds }, (_, round) => largest(ranks.map((r) => r.seconds[round]))),
    cpuSeconds: ranks.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / rounds,
  };
}
