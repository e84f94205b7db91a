import { takeTurns } from '../support/take-turns.js';
import type { Implementation, Work } from './implementation.js';
import { type Result, summarize } from './result.js';

export interface Entry {
  readonly implementation: Implementation;
  readonly work: Work;
}

/**
 * Lets implementations do their work in turn, `steps` steps at a time; the others are compared with the first
 * of them. Closes them all, whatever happens.
 */
export async function measureInTurn(
  configuration: Pick<Result, 'size' | 'workers'>,
  entries: readonly Entry[],
  { steps, repeats }: { steps: number; repeats: number },
): Promise<Result> {
  const implementations = new Set(entries.map(({ implementation }) => implementation));
  try {
    // Kernels are chosen and memory is taken in the first step.
    for (const { implementation, work } of entries) await implementation.measure({ steps: 1, work });
    const figures = await takeTurns(entries, repeats, ({ implementation, work }) =>
      implementation.measure({ steps, work }),
    );
    return summarize(
      configuration,
      entries.map(({ implementation: { name }, work }, index) => ({ name, work, figures: figures[index]! })),
    );
  } finally {
    await Promise.all([...implementations].map((implementation) => implementation.close()));
  }
}
