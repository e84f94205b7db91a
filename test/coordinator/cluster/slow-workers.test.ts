import { expect, it } from 'vitest';
import { findSlow } from '../../../coordinator/cluster/slow-workers.js';
import { followWorkers } from '../../../coordinator/cluster/worker-figures.js';
import type { WorkerMessage } from '../../../proto/gen/coordinator.js';

const usual = { own: 0.4, compute: 0.39, data: 0.01, wait: 0, samples: 16, cores: 1 };
const member = (changes: Partial<typeof usual> = {}, cpuQuota: number | null = null) => ({
  cpuQuota,
  step: { ...usual, ...changes },
});

it('compares own time per sample: a larger share and waiting for others make nobody slow', () => {
  expect(findSlow([member(), member({ wait: 3 }), member({ own: 0.8, samples: 32 })])).toEqual([
    null,
    null,
    null,
  ]);
  expect(findSlow([member()])).toEqual([null]);
  expect(findSlow([member({ own: 9, samples: 0 }), member(), { cpuQuota: null, step: null }])).toEqual([
    null,
    null,
    null,
  ]);
});

it.each([
  [{ own: 0.8, cores: 0.5 }, 0.5, 2, /had 50 % of the processor time.*its CPU quota is 0\.50 cores/],
  [{ own: 0.8, cores: 0.5 }, null, 2, /had 50 % of the processor time.*other processes use its cores/],
  [{ own: 0.8, cores: 0.5 }, 8, 2, /other processes use its cores/],
  [{ own: 1.2, data: 0.8 }, null, 3, /^it waits for its images for 67 % of its time/],
  [{ own: 0.6, cores: 0.99 }, null, 1.5, /look at its processor or device/],
] as const)('says why %j of quota %s is slow', (changes, quota, times, reason) => {
  const [first, slow, third] = findSlow([member(), member(changes, quota), member()]);
  expect([first, third]).toEqual([null, null]);
  expect(slow).toEqual({ times: expect.closeTo(times), reason: expect.stringMatching(reason) });
});

it('follows what workers say of their steps, and forgets those that are gone', () => {
  const figures = followWorkers();
  const say = (message: NonNullable<WorkerMessage['message']>) => figures.hear(7, { message });
  const step = (data: number, compute: number) =>
    say({
      $case: 'stepCommitted',
      value: {
        ...{ generation: 1n, step: 0n, rank: 0, loss: 1, correct: 1, samples: 4, skipped: false, seconds: 1 },
        ...{ sampleIds: [1, 2], times: { data, compute, wait: 0.5, cpu: compute / 2 } },
      },
    });
  expect(figures.of(7)).toEqual({ cpuQuota: null, step: null });
  step(0.1, 0.3);
  expect(figures.of(7).step).toEqual({
    own: 0.4,
    compute: 0.3,
    data: 0.1,
    wait: 0.5,
    samples: 2,
    cores: 0.5,
  });
  for (let count = 0; count < 60; count += 1) step(0.2, 0.6);
  expect(figures.of(7).step!.own).toBeCloseTo(0.8, 3);
  say({ $case: 'heartbeat', value: { generation: 1n, step: 0n, evaluated: 0, activity: 1, cpuQuota: 0.2 } });
  expect(figures.of(7).cpuQuota).toBe(0.2);
  figures.forget(7);
  expect(figures.of(7)).toEqual({ cpuQuota: null, step: null });
});
