import { z } from 'zod';
import { largest, smallest } from '../../runtime/extremes.js';

export const spanSchema = z.tuple([z.number(), z.number()]).readonly();

/** When a step began and ended, in seconds. */
export type Span = z.infer<typeof spanSchema>;

/**
 * Steps per second of several processes together, over the time in which all of them compute: from the last
 * one's first step to the first one's last. A step that lies partly outside counts in part.
 *
 * @throws Error when there is no such time: the processes computed one after the other.
 */
export function throughputOf(processes: readonly (readonly Span[])[]): number {
  const from = largest(processes.map((spans) => spans[0][0]));
  const to = smallest(processes.map((spans) => spans[spans.length - 1][1]));
  if (!(to > from)) throw new Error('the processes never computed at the same time');
  let steps = 0;
  for (const [start, end] of processes.flat()) {
    steps += Math.max(0, Math.min(end, to) - Math.max(start, from)) / (end - start);
  }
  return steps / (to - from);
}
