import { describe, expect, it } from 'vitest';
import { arrivalsOf, formatReport, type HeardEvent, summarize } from '../../../bench/start-up/report.js';

const heard = (...kinds: readonly [string, number][]) =>
  kinds.map(([kind, seconds]): HeardEvent => ({ event: { kind }, seconds, workerSeconds: seconds / 2 }));

describe('arrivalsOf', () => {
  it('takes the first event of each kind', () => {
    const events = heard(
      ['note', 0],
      ['prepared', 1],
      ['waiting', 2],
      ['assigned', 3],
      ['step', 5],
      ['step', 6],
    );
    expect(arrivalsOf(events)).toEqual({
      seconds: { prepared: 1, waiting: 2, assigned: 3, step: 5 },
      workerSeconds: { prepared: 0.5, waiting: 1, assigned: 1.5, step: 2.5 },
    });
  });

  it('refuses a run that came to no step', () => {
    const events = heard(['prepared', 1], ['waiting', 2], ['assigned', 3], ['summary', 4]);
    expect(() => arrivalsOf(events)).toThrow("before its first event 'step'");
  });
});

describe('formatReport', () => {
  it('has the median of each and how far runs differ', () => {
    const arrivals = summarize(
      [1, 2, 3].map((step) => ({
        seconds: { prepared: 0.1, waiting: 0.2, assigned: 0.3, step },
        workerSeconds: { prepared: 0, waiting: 0, assigned: 0.5, step: 2 * step },
      })),
    );
    const text = formatReport({
      ...{ bench: 'start-up', workers: 4, repeats: 3, arrivals },
      environment: { commit: 'c', processor: 'p', cores: 2, memoryBytes: 0, system: 's', node: 'v' },
    });
    expect(text).toMatch(/^first step committed +2\.00 +1\.20 +2\.80 +4\.00$/m);
    expect(text).toMatch(/^images indexed +0\.10 +0\.10 +0\.10 +0\.00$/m);
  });
});
