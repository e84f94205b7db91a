import { takeTurns } from '../support/take-turns.js';
import type { Contestant, Work } from './contestant.js';
import { type Result, summarize } from './result.js';

export interface Lane {
  readonly contestant: Contestant;
  readonly work: Work;
}

/**
 * Lets contestants do their work in turn, `steps` steps at a time; the others are compared with the first of them. Closes
 * them all, whatever happens.
 */
export async function measureInTurn(
  configuration: Pick<Result, 'size' | 'workers'>,
  lanes: readonly Lane[],
  { steps, repeats }: { steps: number; repeats: number },
): Promise<Result> {
  const contestants = new Set(lanes.map(({ contestant }) => contestant));
  try {
    // Kernels are chosen and memory is taken in the first step.
    for (const { contestant, work } of lanes) await contestant.measure({ steps: 1, work });
    const figures = await takeTurns(lanes, repeats, ({ contestant, work }) =>
      contestant.measure({ steps, work }),
    );
    return summarize(
      configuration,
      lanes.map(({ contestant: { name }, work }, index) => ({ name, work, figures: figures[index]! })),
    );
  } finally {
    await Promise.all([...contestants].map((contestant) => contestant.close()));
  }
}
