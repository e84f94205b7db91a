import { createLogUpdate } from 'log-update';
import { writeLines } from '../../runtime/printable.js';
import { renderDataset } from './progress.js';
import type { Output } from './reporter.js';

/** How far a piece of work is, for a person who waits. Silent for work that ends at once. */
export interface WorkProgress {
  report(progress: { readonly done: number; readonly total: number }): void;
  /** Takes the line away from a terminal. Safe to call twice. */
  close(): void;
}

/** Nothing is shown for work that takes less time than this. */
const silentMs = 2_000;
const redrawMs = 100;
const plainEveryMs = 30_000;
const defaultColumns = 80;

/**
 * A bar with the time that is left. Give it standard error: standard output is for results.
 *
 * @param phase what is done to the images, as in "predicting"
 */
export function openWorkProgress(
  phase: string,
  output: Output,
  {
    subject = 'images',
    unit,
    nowMs = () => performance.now(),
  }: { subject?: string; unit?: 'bytes'; nowMs?: () => number } = {},
): WorkProgress {
  const startMs = nowMs();
  const everyMs = output.isTTY ? redrawMs : plainEveryMs;
  const log = output.isTTY ? createLogUpdate(output) : null;
  let saidMs = Number.NEGATIVE_INFINITY;
  return {
    report({ done, total }) {
      const now = nowMs();
      if (now - startMs < silentMs || now - saidMs < everyMs) return;
      saidMs = now;
      const line = renderDataset(
        { kind: 'dataset', phase, subject, ...(unit && { unit }), done, total, sinceMs: startMs },
        now,
      );
      if (log === null) writeLines(output, [line]);
      else log([...line].slice(0, (output.columns || defaultColumns) - 1).join(''));
    },
    close() {
      log?.clear();
      log?.done();
    },
  };
}
