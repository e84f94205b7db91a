import { describe, expect, it } from 'vitest';
import { arrivalsOf } from '../../../bench/start-up/report.js';
import type { Heard } from '../../../bench/support/coordinator-run.js';

const heard = (...kinds: readonly [string, number][]) =>
  kinds.map(([kind, seconds]) => ({ event: { kind }, seconds })) as unknown as Heard[];

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
    expect(arrivalsOf(events)).toEqual({ prepared: 1, waiting: 2, assigned: 3, step: 5 });
  });

  it('refuses a run that came to no step', () => {
    const events = heard(['prepared', 1], ['waiting', 2], ['assigned', 3], ['summary', 4]);
    expect(() => arrivalsOf(events)).toThrow("before its first event 'step'");
  });
});
