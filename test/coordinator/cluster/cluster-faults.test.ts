import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClusterFixture, destroyFixtures, openFixture } from '../../support/cluster-fixture.js';
import { openRelay } from '../../support/relay.js';

afterEach(destroyFixtures);

describe('a run that breaks', () => {
  it('names the worker whose connection is gone, and dismisses the others', async () => {
    const fixture: ClusterFixture = await openFixture(3, {
      stepCommitted({ step }) {
        if (step === 3) fixture.workers[1]!.vanish();
      },
    });
    fixture.join('worker-0');
    fixture.join('worker-1', {
      alter: (message) => (message.$case === 'stepCommitted' && message.value.step > 3n ? null : message),
    });
    fixture.join('worker-2');
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^worker worker-1 \(rank 1\) was lost at step 4: /),
      remedy: 'resume it',
    });
    expect(fixture.losses).toMatchObject([{ workerId: 'worker-1', rank: 1, step: 4 }]);
    for (const index of [0, 2]) {
      const { goodbye } = await fixture.workers[index]!.done;
      expect(goodbye).toEqual({ ok: false, reason: expect.stringContaining('worker-1 (rank 1)') });
    }
  });

  it('notices a process that is killed: its sockets close, nothing more is said', async () => {
    const fixture: ClusterFixture = await openFixture(2, {
      stepCommitted: ({ step }) => {
        if (step === 3) relay.destroy();
      },
    });
    const relay = await openRelay(fixture.cluster.address);
    fixture.join('worker-0', { steps: 100_000 });
    const killed = fixture.join('worker-1', { steps: 100_000, coordinatorAddress: relay.address });
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^worker worker-1 \(rank 1\) was lost at step \d+: /),
    });
    expect(fixture.losses).toHaveLength(1);
    expect((await killed.done).error?.code).toBe(status.UNAVAILABLE);
    expect((await fixture.workers[0]!.done).goodbye?.ok).toBe(false);
  });

  it('names the worker that fell silent, and ends its session', async () => {
    const fixture = await openFixture(2);
    fixture.join('worker-0');
    const hung = fixture.join('worker-1', {
      alter(message, worker) {
        if (message.$case === 'stepCommitted' && message.value.step === 2n) worker.hang();
        return message;
      },
    });
    await expect(fixture.cluster.run({ step: 0, source: 'fresh' })).rejects.toThrow(
      'worker worker-1 (rank 1) was lost at step 2: it was silent for 1 s',
    );
    expect((await hung.done).error?.code).toBe(status.DEADLINE_EXCEEDED);
    expect((await fixture.workers[0]!.done).goodbye?.ok).toBe(false);
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
