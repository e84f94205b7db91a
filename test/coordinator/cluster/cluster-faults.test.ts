import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ClusterFixture,
  config,
  destroyFixtures,
  openFixture,
  steps,
} from '../../support/cluster-fixture.js';
import type { FakeWorker } from '../../support/fake-worker.js';
import { openRelay } from '../../support/relay.js';

afterEach(destroyFixtures);

/** Every step is committed once, and every epoch evaluated. */
function expectWhole({ committed, evaluations }: ClusterFixture): void {
  expect(committed.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, step) => step));
  expect(evaluations.map(({ epoch }) => epoch)).toEqual([0, 1]);
}

describe('a run that breaks', () => {
  it.each([
    ['whose connection is gone', (worker: FakeWorker) => worker.vanish()],
    ['that fell silent', (worker: FakeWorker) => worker.hang()],
  ])('goes on without a worker %s', async (_, trouble) => {
    const fixture: ClusterFixture = await openFixture(3);
    for (const index of [0, 2]) fixture.join(`worker-${index}`);
    fixture.join('worker-1', {
      alter(message, worker) {
        if (message.$case !== 'stepCommitted' || message.value.step < 1n) return message;
        trouble(worker);
        return null;
      },
    });
    expect((await fixture.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
    expect(fixture.losses).toMatchObject([{ workerId: 'worker-1', rank: 1 }]);
    expect(fixture.recoveries).toMatchObject([{ generation: 2n, worldSize: 2 }]);
    expectWhole(fixture);
  });

  it('goes on without a process that is killed: its sockets close, nothing more is said', async () => {
    const fixture: ClusterFixture = await openFixture(2);
    const relay = await openRelay(fixture.cluster.address);
    fixture.join('worker-0');
    const killed = fixture.join('worker-1', {
      coordinatorAddress: relay.address,
      alter(message, worker) {
        if (message.$case !== 'stepCommitted' || message.value.step < 2n) return message;
        relay.destroy();
        worker.hang();
        return null;
      },
    });
    expect((await fixture.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
    expect(fixture.losses).toHaveLength(1);
    expect((await killed.done).error?.code).toBe(status.UNAVAILABLE);
    expectWhole(fixture);
  });

  it('takes a worker in while it runs, and lets one leave', async () => {
    const epochs = 300;
    const fixture: ClusterFixture = await openFixture(
      1,
      {
        assigned(_, workers) {
          if (workers.length === 2) fixture.workers[0]!.leave();
        },
      },
      { maxWorkers: 3, config: { ...config, phases: [{ ...config.phases[0]!, epochs }] } },
    );
    fixture.join('worker-0');
    const run = fixture.cluster.run({ step: 0, source: 'fresh' });
    fixture.join('worker-1');
    expect((await run).step).toBe(3 * epochs);
    expect((await fixture.workers[0]!.done).goodbye).toEqual({ ok: false, reason: 'it asked to leave' });
    expect(fixture.recoveries.map(({ worldSize, stepsRedone }) => [worldSize, stepsRedone])).toEqual([
      [2, 0],
      [1, 0],
    ]);
    expect(fixture.committed.map(({ step }) => step)).toEqual(
      Array.from({ length: 3 * epochs }, (_, step) => step),
    );
  });

  it('names the replica that differs', async () => {
    const fixture = await openFixture(3);
    fixture.join('worker-0');
    fixture.join('worker-1');
    fixture.join('worker-2', {
      alter(message) {
        if (message.$case !== 'epochCompleted' || message.value.epoch !== 1) return message;
        return { ...message, value: { ...message.value, stateDigest: 'bent' } };
      },
    });
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/end of epoch 1: worker-2 \(rank 2\) reported state bent/),
    });
    expect(fixture.ends.map(({ epoch }) => epoch)).toEqual([0]);
  });

  it('carries the error of a worker that failed', async () => {
    const fixture = await openFixture(2);
    fixture.join('worker-0');
    fixture.join('worker-1', {
      alter(message) {
        if (message.$case !== 'stepCommitted') return message;
        const { generation, step } = message.value;
        const failure = { code: 'resource-exhausted', message: 'no memory', remedy: 'buy some' };
        return { $case: 'failed', value: { generation, step, ...failure } };
      },
    });
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'worker worker-1 (rank 1) failed at step 0: no memory',
      remedy: 'buy some',
    });
  });

  it('carries the error of its own listener', async () => {
    const fixture = await openFixture(1, {
      epochCompleted: () => {
        throw Object.assign(new Error('disk full'), { code: 'ENOSPC' });
      },
    });
    fixture.join('worker-0');
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'disk full',
    });
    expect((await fixture.workers[0]!.done).goodbye?.ok).toBe(false);
  });

  it('ends when it is destroyed, twice', async () => {
    const fixture = await openFixture(2);
    const worker = fixture.join('worker-0');
    const run = fixture.cluster.run({ step: 0, source: 'fresh' });
    fixture.cluster.destroy();
    fixture.cluster.destroy();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    await worker.done;
  });
});
