import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import { renderEvent } from '../../../coordinator/terminal/event-lines.js';
import { openReporter } from '../../../coordinator/terminal/reporter.js';
import { memoryOutput } from '../../support/memory-output.js';
import { assigned, epoch, prepared, step, summary, waiting } from '../../support/run-events.js';

describe('reporters', () => {
  const story: RunEvent[] = [
    { kind: 'note', text: 'a note' },
    { kind: 'dataset', phase: 'verifying', done: 1, total: 800 },
    { kind: 'dataset', phase: 'verifying', done: 2, total: 800 },
    { kind: 'dataset', phase: 'verifying', done: 800, total: 800 },
    prepared,
    waiting,
    assigned,
    ...Array.from({ length: 10 }, (_, index) => step(index)),
    epoch,
    { kind: 'summary', ...summary },
  ];
  const tell = (output: ReturnType<typeof memoryOutput>, json: boolean) => {
    const reporter = openReporter(output, { json }, () => 0);
    for (const event of story) reporter.report(event);
    reporter.close();
    reporter.close();
    return output;
  };

  it('prints plain lines without control characters where there is no terminal', () => {
    const lines = tell(memoryOutput(), false).lines();
    expect(lines.join('\n')).toBe(stripVTControlCharacters(lines.join('\n')));
    expect(lines.filter((line) => line.startsWith('verifying'))).toHaveLength(2);
    expect(lines.filter((line) => line.startsWith('epoch 1/3'))).toHaveLength(1);
    expect(lines).toContain(renderEvent(epoch)[0]);
    expect(lines.at(-1)).toBe('all of it is in runs/mine');
  });

  it('prints every event as one JSON object for machines, progress on files now and then', () => {
    const lines = tell(memoryOutput({ isTTY: true }), true).lines();
    const expected = story.filter((event) => event.kind !== 'dataset' || event.done !== 2);
    expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
  });

  it('leaves on a terminal what lasts, and a visible cursor', () => {
    const text = tell(memoryOutput({ isTTY: true, columns: 80 }), false).text();
    expect(stripVTControlCharacters(text)).toContain(`${renderEvent(assigned)[0]}\n`);
    expect(stripVTControlCharacters(text)).toContain(`${renderEvent(epoch)[0]}\n`);
    expect(text.lastIndexOf('\u001b[?25h')).toBeGreaterThanOrEqual(text.lastIndexOf('\u001b[?25l'));
  });
});
