import { z } from 'zod';
import { floatTypes } from '../../plan/run-config.js';
import { largest } from '../../runtime/extremes.js';

const count = z.int().positive();

export const taskSchema = z.object({ length: count, wire: z.enum(floatTypes), rounds: count });

/** What one rank is asked: so many rounds over a float32 vector of `length`. */
export type Task = Readonly<z.infer<typeof taskSchema>>;

export const rankFiguresSchema = z.object({
  seconds: z.array(z.number()),
  /** Processor time of the rank's process over all rounds. */
  cpuSeconds: z.number(),
});

/** What one rank answers. A round begins when all ranks are ready for it. */
export type RankFigures = Readonly<z.infer<typeof rankFiguresSchema>>;

export interface Figures {
  /** Of each round, the slowest rank's. */
  readonly seconds: readonly number[];
  /** Per round, of all ranks together. */
  readonly cpuSeconds: number;
}

/** With what the machine that sent most sent for a round; null on loopback. */
export type Measured = Figures & { readonly sentBytes: number | null };

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
