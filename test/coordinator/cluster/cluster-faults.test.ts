import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { destroyStages, openStage, type Stage } from '../../support/cluster-fixture.js';
import { openRelay } from '../../support/relay.js';

afterEach(destroyStages);

describe('a run that breaks', () => {
  it('names the worker whose connection is gone, and sends the others home', async () => {
    const stage: Stage = await openStage(3, {
      stepCommitted({ step }) {
        if (step === 3) stage.workers[1]!.vanish();
      },
    });
    stage.join('worker-0');
    stage.join('worker-1', {
      alter: (message) => (message.$case === 'stepCommitted' && message.value.step > 3n ? null : message),
    });
    stage.join('worker-2');
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^worker worker-1 \(rank 1\) was lost at step 4: /),
      remedy: 'resume it',
    });
    expect(stage.losses).toMatchObject([{ workerId: 'worker-1', rank: 1, step: 4 }]);
    for (const index of [0, 2]) {
      const { goodbye } = await stage.workers[index]!.done;
      expect(goodbye).toEqual({ ok: false, reason: expect.stringContaining('worker-1 (rank 1)') });
    }
  });

  it('notices a process that is killed: its sockets close, nothing more is said', async () => {
    const stage: Stage = await openStage(2, {
      stepCommitted: ({ step }) => {
        if (step === 3) relay.destroy();
      },
    });
    const relay = await openRelay(stage.cluster.address);
    stage.join('worker-0', { steps: 100_000 });
    const killed = stage.join('worker-1', { steps: 100_000, coordinatorAddress: relay.address });
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^worker worker-1 \(rank 1\) was lost at step \d+: /),
    });
    expect(stage.losses).toHaveLength(1);
    expect((await killed.done).error?.code).toBe(status.UNAVAILABLE);
    expect((await stage.workers[0]!.done).goodbye?.ok).toBe(false);
  });

  it('names the worker that fell silent, and ends its session', async () => {
    const stage = await openStage(2);
    stage.join('worker-0');
    const hung = stage.join('worker-1', {
      alter(message, worker) {
        if (message.$case === 'stepCommitted' && message.value.step === 2n) worker.hang();
        return message;
      },
    });
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toThrow(
      'worker worker-1 (rank 1) was lost at step 2: it was silent for 1 s',
    );
    expect((await hung.done).error?.code).toBe(status.DEADLINE_EXCEEDED);
    expect((await stage.workers[0]!.done).goodbye?.ok).toBe(false);
  });

  it('names the replica that differs', async () => {
    const stage = await openStage(3);
    stage.join('worker-0');
    stage.join('worker-1');
    stage.join('worker-2', {
      alter(message) {
        if (message.$case !== 'epochCompleted' || message.value.epoch !== 1) return message;
        return { ...message, value: { ...message.value, stateDigest: 'bent' } };
      },
    });
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'data-loss',
      message: expect.stringMatching(/end of epoch 1: worker-2 \(rank 2\) reported state bent/),
    });
    expect(stage.ends.map(({ epoch }) => epoch)).toEqual([0]);
  });

  it('carries the error of a worker that failed', async () => {
    const stage = await openStage(2);
    stage.join('worker-0');
    stage.join('worker-1', {
      alter(message) {
        if (message.$case !== 'stepCommitted') return message;
        const { generation, step } = message.value;
        const failure = { code: 'resource-exhausted', message: 'no memory', remedy: 'buy some' };
        return { $case: 'failed', value: { generation, step, ...failure } };
      },
    });
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'worker worker-1 (rank 1) failed at step 0: no memory',
      remedy: 'buy some',
    });
  });

  it('carries the error of its own listener', async () => {
    const stage = await openStage(1, {
      epochCompleted: () => {
        throw Object.assign(new Error('disk full'), { code: 'ENOSPC' });
      },
    });
    stage.join('worker-0');
    await expect(stage.cluster.run({ step: 0, source: 'fresh' })).rejects.toMatchObject({
      code: 'resource-exhausted',
      message: 'disk full',
    });
    expect((await stage.workers[0]!.done).goodbye?.ok).toBe(false);
  });

  it('ends when it is destroyed, twice', async () => {
    const stage = await openStage(2);
    const worker = stage.join('worker-0');
    const run = stage.cluster.run({ step: 0, source: 'fresh' });
    stage.cluster.destroy();
    stage.cluster.destroy();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    await worker.done;
  });
});
