import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openPrometheusSink } from '../../../coordinator/telemetry/prometheus.js';
import type { RunEvent } from '../../../coordinator/telemetry/run-events.js';
import type { RunStatus } from '../../../proto/run-status.js';
import { openWorkerMetrics } from '../../../worker/session/worker-metrics.js';
import { readMetricsText } from '../../support/metrics-text.js';

const prepared: RunEvent = {
  ...{ kind: 'prepared', runId: 'mine', directory: '/runs/mine', arch: 'resnet18', size: 32, workers: 2 },
  ...{ classes: 3, train: 60, valid: 12, quarantined: 0, epochs: 2, stepsPerEpoch: 5, startStep: 3 },
};
const step = (index: number, loss: number | null = 0.5, skipped = false): RunEvent => ({
  ...{ kind: 'step', step: index, epoch: Math.floor(index / 5), loss, samples: 20, seconds: 0.25, skipped },
});

async function scrape(events: readonly RunEvent[], status: RunStatus | null = null) {
  let now = 1_000;
  const sink = openPrometheusSink({ status: () => status, nowMs: () => now });
  for (const event of events) sink.hear(event);
  now += 2_500;
  return readMetricsText(await sink.registry.metrics());
}

const manual = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8');

it.each([
  ['the coordinator', () => openPrometheusSink({ status: () => null, nowMs: () => 0 }).registry],
  ['a worker', () => openWorkerMetrics('w0').registry],
])('the manual names every metric of %s', (_, open) => {
  const names = open()
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter((name) => !/^rondo_(process|nodejs)_/.test(name));
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !manual.includes(`\`${name}`))).toEqual([]);
});

describe('what Prometheus is told of a run', () => {
  it('is how far it is and how fast', async () => {
    const read = await scrape([prepared, step(3), step(4), step(5, null, true)]);
    expect(read('run_info{run="mine",arch="resnet18"}')).toBe(1);
    expect(['plan_steps', 'plan_epochs', 'step', 'epoch'].map(read)).toEqual([10, 2, 6, 1]);
    expect(['steps_total', 'samples_total', 'skipped_steps_total'].map(read)).toEqual([3, 60, 1]);
    expect(['loss', 'samples_per_second', 'remaining_seconds'].map(read)).toEqual([Number.NaN, 80, 1]);
    expect(['step_seconds_count', 'step_seconds_sum'].map(read)).toEqual([3, 0.75]);
    expect(read('step_seconds_bucket{le="0.25"}')).toBe(3);
  });

  it('is where a resumed run begins', async () => {
    const read = await scrape([prepared]);
    expect([read('step'), read('epoch'), read('steps_total')]).toEqual([3, 0, 0]);
  });

  it('is who computes, and what became of those that were lost', async () => {
    const read = await scrape([
      {
        kind: 'assigned',
        generation: 1,
        workers: [0, 1].map((rank) => ({ worker: `w${rank}`, rank, host: 'h' })),
      },
      { kind: 'worker-lost', worker: 'w1', rank: 1, step: 4, reason: 'gone' },
      {
        ...{ kind: 'recovered', generation: 2, worldSize: 1, step: 4, causes: [], seconds: 1.5 },
        ...{ stepsRedone: 1, copies: [] },
      },
    ]);
    const names = [
      'generation',
      'world_size',
      'lost_workers_total',
      'recoveries_total',
      'redone_steps_total',
    ];
    expect(names.map(read)).toEqual([2, 1, 1, 1, 1]);
    expect(read('recovery_seconds_total')).toBe(1.5);
  });

  it('is how old the newest checkpoint is, once there is one', async () => {
    expect((await scrape([prepared]))('checkpoint_age_seconds')).toBeNaN();
    const read = await scrape([{ kind: 'checkpoint', name: 'epoch-0000', step: 5 }]);
    expect([read('checkpoint_step'), read('checkpoint_age_seconds')]).toEqual([5, 2.5]);
  });

  it('is what each worker’s step takes, of those that are there when it is asked', async () => {
    const usual = { own: 0.3, compute: 0.2, data: 0.1, wait: 0.05, samples: 10, cores: 1 };
    const base = {
      rank: 0,
      host: 'h',
      pid: 1,
      local: true,
      state: 'computing',
      cpuQuota: null,
      slow: null,
    } as const;
    const status: RunStatus = {
      ...{ runId: 'mine', phase: 'training', generation: 1, worldSize: 1, minWorkers: 1, maxWorkers: 4 },
      ...{ steps: 3, totalSteps: 10, epoch: 0, totalEpochs: 2, attempt: 1, stepsPerSecond: 4, recoveries: 0 },
      members: [
        { ...base, worker: 'w0', silentSeconds: 0.5, step: usual },
        { ...base, worker: 'w1', silentSeconds: 1, step: null },
      ],
    };
    const read = await scrape([prepared], status);
    const parts = ['compute', 'images', 'all_reduce_exposed'];
    expect(parts.map((part) => read(`worker_step_seconds{worker="w0",part="${part}"}`))).toEqual([
      0.2, 0.1, 0.05,
    ]);
    expect(read('worker_step_seconds{worker="w1",part="compute"}')).toBeUndefined();
    expect(read('worker_silent_seconds{worker="w1"}')).toBe(1);
    expect([read('phase{phase="training"}'), read('phase{phase="ended"}')]).toEqual([1, 0]);
  });
});
