import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { type Cluster, openCluster } from '../../../coordinator/cluster/cluster.js';
import type {
  ClusterListener,
  CommittedStep,
  EpochEnd,
  EvaluationResult,
  WorkerLoss,
} from '../../../coordinator/cluster/cluster-events.js';
import { type FakeWorker, type FakeWorkerOptions, joinFakeWorker } from '../../support/fake-worker.js';
import { openRelay } from '../../support/relay.js';
import { runConfig } from '../../support/run-config.js';
import { openVotingBooth } from '../../support/voting-booth.js';

const steps = 6;
const config = runConfig({ validCount: 7 });

interface Stage {
  readonly cluster: Cluster;
  readonly committed: CommittedStep[];
  readonly evaluations: EvaluationResult[];
  readonly ends: EpochEnd[];
  readonly losses: WorkerLoss[];
  readonly workers: FakeWorker[];
  join(id: string, changes?: Partial<FakeWorkerOptions>): FakeWorker;
}

const opened: Cluster[] = [];
afterEach(() => {
  for (const cluster of opened.splice(0)) cluster.destroy();
});

async function openStage(worldSize: number, listener: Partial<ClusterListener> = {}): Promise<Stage> {
  const committed: CommittedStep[] = [];
  const evaluations: EvaluationResult[] = [];
  const ends: EpochEnd[] = [];
  const losses: WorkerLoss[] = [];
  const workers: FakeWorker[] = [];
  const booth = openVotingBooth(worldSize);
  const cluster = await openCluster({
    listen: '127.0.0.1:0',
    config,
    worldSize,
    welcome: { natsUrl: 'nats://127.0.0.1:4222', natsToken: 'secret' },
    dataset: { root: '/', classes: [...config.classes], train: [], valid: [], digest: 'none' },
    pretrainedPath: null,
    checkpoint: async function* () {},
    listener: {
      assigned: () => {},
      stepCommitted: (step) => committed.push(step),
      evaluated: (evaluation) => evaluations.push(evaluation),
      epochCompleted: (end) => ends.push(end),
      workerLost: (loss) => losses.push(loss),
      ...listener,
    },
    version: '1.0.0',
    endRemedy: 'resume it',
    silenceMs: 1_000,
  });
  opened.push(cluster);
  const join: Stage['join'] = (id, changes = {}) => {
    const common = { steps, stepsPerEpoch: 3, validCount: config.validCount };
    const worker = joinFakeWorker({ coordinatorAddress: cluster.address, id, booth, ...common, ...changes });
    workers.push(worker);
    return worker;
  };
  return { cluster, committed, evaluations, ends, losses, workers, join };
}

describe('a run over real connections', () => {
  it.each([1, 2, 3, 4])('of %i workers commits every step and epoch, then all go home', async (worldSize) => {
    const stage = await openStage(worldSize);
    // The last one comes first: ranks follow the ids.
    for (let index = worldSize - 1; index >= 0; index -= 1) stage.join(`worker-${index}`);
    const result = await stage.cluster.run({ step: 0, source: 'fresh' });
    expect(result).toEqual({
      step: steps,
      stopped: false,
      metrics: { published: steps * worldSize, dropped: worldSize },
    });

    expect(stage.committed.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { step, shares, samples, loss } of stage.committed) {
      const ids = shares.flatMap((share) => [...share]).sort((a, b) => a - b);
      expect(ids).toEqual([0, 1, 2, 3, 4].map((index) => step * 5 + index));
      expect(samples).toBe(5);
      expect(loss).toBe(1 / (step + 1));
    }
    expect(stage.evaluations.map(({ epoch, step }) => [epoch, step])).toEqual([
      [0, 3],
      [1, 6],
    ]);
    expect([...stage.evaluations[1]!.sampleIds]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...stage.evaluations[1]!.losses]).toEqual([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]);
    expect(
      stage.ends.map(({ step, stateDigest, whole, holderAddress }) => [
        step,
        stateDigest,
        whole,
        holderAddress,
      ]),
    ).toEqual([
      [3, 'state-3', true, '127.0.0.1:7000'],
      [6, 'state-6', true, '127.0.0.1:7000'],
    ]);

    await stage.cluster.close(true, 'done');
    await stage.cluster.close(true, 'done');
    for (const worker of stage.workers) {
      expect(await worker.done).toEqual({ goodbye: { ok: true, reason: 'done' }, error: null });
      expect(worker.heard.map(({ $case }) => $case)).toEqual(['welcome', 'assignment', 'begin', 'goodbye']);
    }
    const [welcome] = stage.workers[0]!.heard;
    expect(welcome?.$case === 'welcome' && JSON.parse(welcome.value.runConfigJson)).toEqual(config);
  });

  it('starts where it is told to', async () => {
    const stage = await openStage(2);
    stage.join('worker-0');
    stage.join('worker-1');
    const result = await stage.cluster.run({ step: 3, source: 'checkpoint' });
    expect(result.step).toBe(6);
    expect(stage.committed.map(({ step }) => step)).toEqual([3, 4, 5]);
  });

  it('stops by agreement', async () => {
    const stage: Stage = await openStage(3, {
      stepCommitted: ({ step }) => {
        if (step === 1) stage.cluster.stop('Ctrl-C');
      },
    });
    for (const index of [0, 1, 2]) stage.join(`worker-${index}`, { steps: 100_000, stepsPerEpoch: 100_000 });
    const result = await stage.cluster.run({ step: 0, source: 'fresh' });
    expect(result.stopped).toBe(true);
    expect(result.step).toBeGreaterThan(1);
    expect(stage.ends).toMatchObject([{ step: result.step, whole: false, epoch: 0 }]);
    await stage.cluster.close(true, 'stopped');
    for (const worker of stage.workers) expect((await worker.done).goodbye?.ok).toBe(true);
  });
});

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

describe('a session that is refused', () => {
  it.each([
    ['for its version', 'worker-1', { version: '0.0.1' }, /0\.0\.1/],
    ['for its id', 'worker-0', { peerAddress: '127.0.0.1:9' }, /already registered/],
  ])('%s learns why, and the run goes on with another', async (_, id, changes, reason) => {
    const stage = await openStage(2);
    const first = stage.join('worker-0');
    await expect.poll(() => first.heard.length).toBe(1);
    const { error, goodbye } = await stage.join(id, changes).done;
    expect(error?.code).toBe(status.FAILED_PRECONDITION);
    expect(error?.details).toMatch(reason);
    expect(goodbye).toBeNull();
    stage.join('worker-1');
    expect((await stage.cluster.run({ step: 0, source: 'fresh' })).step).toBe(steps);
  });
});

describe('listening', () => {
  it('works on IPv6 loopback where there is any', async ({ skip }) => {
    const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
      addresses?.some(({ address }) => address === '::1'),
    );
    if (!hasIpv6) skip();
    const cluster = await attempt('[::1]:0');
    expect(cluster.address).toMatch(/^\[::1\]:[1-9]\d*$/);
    cluster.destroy();
  });

  const attempt = (listen: string) =>
    openCluster({
      listen,
      config,
      worldSize: 1,
      welcome: { natsUrl: '', natsToken: '' },
      dataset: { root: '/', classes: [], train: [], valid: [], digest: '' },
      pretrainedPath: null,
      checkpoint: async function* () {},
      listener: {
        assigned() {},
        stepCommitted() {},
        evaluated() {},
        epochCompleted() {},
        workerLost() {},
      },
      version: '1.0.0',
    });

  it.each(['0.0.0.0:0', '[::]:0', '192.168.1.1:7070', 'example.com:7070'])(
    'on %s is refused',
    async (address) => {
      await expect(attempt(address)).rejects.toMatchObject({
        code: 'permission-denied',
        message: expect.stringContaining(address),
        remedy: expect.stringContaining('127.0.0.1'),
      });
    },
  );

  it('on a port in use names the port and the remedy', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(0, '127.0.0.1', resolve));
    const address = squatter.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await expect(attempt(`127.0.0.1:${port}`)).rejects.toMatchObject({
        code: 'failed-precondition',
        message: `port ${port} is already in use`,
        remedy: expect.stringContaining('--listen'),
      });
    } finally {
      squatter.close();
    }
  });
});
