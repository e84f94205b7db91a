import { describe, expect, it } from 'vitest';
import { openWorkProgress } from '../../../coordinator/terminal/work-progress.js';
import { memoryOutput } from '../../support/memory-output.js';

function progressAt(times: readonly number[], terminal: { isTTY?: boolean; columns?: number } = {}) {
  const output = memoryOutput(terminal);
  let now = 0;
  const progress = openWorkProgress('predicting', output, { nowMs: () => now });
  for (const [index, time] of times.entries()) {
    now = time;
    progress.report({ done: index + 1, total: times.length + 1 });
  }
  progress.close();
  return output;
}

describe('openWorkProgress', () => {
  it('says nothing in the first two seconds', () => {
    expect(progressAt([0, 900, 1999]).text()).toBe('');
  });

  it('then says how far it is and how long it takes, seldom where lines stay', () => {
    const lines = progressAt([1000, 3000, 4000, 34_000]).lines();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^predicting images ━+─+ 2\/5 · 00:05 left$/);
    expect(lines[1]).toMatch(/4\/5/);
  });

  it('keeps within a terminal’s width', () => {
    const text = progressAt([3000], { isTTY: true, columns: 20 }).text();
    expect(text).toContain('predicting images ━');
    expect(text).not.toContain('1/2');
  });
});
