import { afterEach, describe, expect, it } from 'vitest';
import { deadlinesOf } from '../../plan/deadlines.js';
import { destroyFixtures, openFixture, steps } from '../support/cluster-fixture.js';

afterEach(destroyFixtures);

describe('the silence limit', () => {
  it('moves every other deadline', () => {
    const [once, twice] = [deadlinesOf(5_000), deadlinesOf(10_000)];
    for (const [name, ms] of Object.entries(once)) {
      expect([name, twice[name as keyof typeof twice]]).toEqual([name, 2 * ms]);
    }
  });

  it('gives a coordinator a minute to come back, however short it is', () => {
    expect([500, 2_000, 2_500, 5_000].map((silenceMs) => deadlinesOf(silenceMs).absenceMs)).toEqual([
      ...[60_000, 60_000, 60_000, 120_000],
    ]);
  });

  it('leaves a worker time to be heard from several times', () => {
    const { silenceMs, heartbeatMs, tickMs } = deadlinesOf(5_000);
    expect(heartbeatMs + tickMs).toBeLessThan(silenceMs / 3);
  });

  it('is over before the others begin another epoch without what a lost one did not report', () => {
    const { silenceMs, heartbeatMs, tickMs, epochEndMs } = deadlinesOf(5_000);
    expect(epochEndMs).toBeGreaterThan(silenceMs + heartbeatMs + tickMs);
  });

  it('is told to workers, and is what a silent one is lost by', async () => {
    const fixture = await openFixture(2, {}, { silenceMs: 700 });
    fixture.join('worker-0');
    const silent = fixture.join('worker-1', {
      alter(message, worker) {
        if (message.$case === 'stepCommitted' && message.value.step === 2n) worker.hang();
        return message;
      },
    });
    expect((await fixture.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
    const [welcome] = silent.heard;
    expect(welcome).toMatchObject({ $case: 'welcome', value: { silenceSeconds: 0.7 } });
    expect(fixture.losses.map(({ reason }) => reason)).toEqual(['it was silent for 0.7 s']);
  });
});
