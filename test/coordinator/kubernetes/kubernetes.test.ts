import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type KubernetesApi, openKubernetesApi } from '../../../coordinator/kubernetes/api.js';
import { showProgress } from '../../../coordinator/kubernetes/progress.js';
import { isServiceAccountToken, reviewToken } from '../../../coordinator/kubernetes/review-token.js';
import { dismissWorkers, openWorkload, type Workload } from '../../../coordinator/kubernetes/workload.js';
import { parseWorkloadName, type WorkloadName } from '../../../coordinator/kubernetes/workload-kinds.js';
import { type FakeKubernetes, startKubernetes } from '../../support/kubernetes-api.js';

let kubernetes: FakeKubernetes;
let api: KubernetesApi;
const opened: Workload[] = [];
const jobName = { kind: 'Job', name: 'workers' } as const;
const statefulSetName = { kind: 'StatefulSet', name: 'workers' } as const;

beforeEach(async () => {
  kubernetes = await startKubernetes();
  api = openKubernetesApi(kubernetes.environment);
});
afterEach(() => {
  for (const workload of opened.splice(0)) workload.close();
  kubernetes.close();
});

async function open(name: WorkloadName, perPod = 1): Promise<Workload> {
  const workload = await openWorkload(api, name, perPod);
  opened.push(workload);
  return workload;
}

describe('a pod’s token', () => {
  const token = 'head.body.signature';
  const review = (workerId = 'workers-0-abcde') => reviewToken(api, { token, workerId, workload: jobName });

  beforeEach(() => {
    kubernetes.tokens.set(token, { pod: 'workers-0-abcde', uid: 'uid-1' });
    kubernetes.pods.set('workers-0-abcde', { uid: 'uid-1', owner: jobName });
  });

  it('is told from Rondo’s own', () => {
    expect([isServiceAccountToken(token), isServiceAccountToken(`abc123.${'s'.repeat(32)}`)]).toEqual([
      true,
      false,
    ]);
  });

  it('stands for its pod’s UID, with the pod’s name as the worker’s id, or with a number after it', async () => {
    expect(await review()).toBe('uid-1');
    expect(await review('workers-0-abcde-3')).toBe('uid-1');
  });

  it.each(['workers-1-fghij', 'workers-0-abcdef', 'workers-0-abcde-', 'workers-0-abcde-x', 'worker-0', ''])(
    'is refused for the id "%s"',
    async (id) => {
      await expect(review(id)).rejects.toMatchObject({ code: 'permission-denied' });
    },
  );

  it.each<[string, () => unknown, RegExp]>([
    ['is unknown', () => kubernetes.tokens.clear(), /not valid/],
    ['has another audience', () => set({ audience: 'vault' }), /not valid/],
    ['is of another namespace', () => set({ namespace: 'other' }), /another namespace/],
    ['is of a pod that is gone', () => kubernetes.pods.clear(), /gone/],
    ['is of an earlier pod of that name', () => pod({ uid: 'uid-2' }), /no pod of Job workers/],
    [
      'is of a StatefulSet’s pod of that name',
      () => pod({ owner: statefulSetName }),
      /no pod of Job workers/,
    ],
    [
      'is of another Job’s pod',
      () => pod({ owner: { kind: 'Job', name: 'others' } }),
      /no pod of Job workers/,
    ],
  ])('is refused when it %s', async (_, change, message) => {
    change();
    await expect(review()).rejects.toMatchObject({
      ...{ code: 'unauthenticated', message: expect.stringMatching(message) },
    });
  });

  it('may be tried again when the API server cannot be asked', async () => {
    kubernetes.close();
    await expect(review()).rejects.toMatchObject({ code: 'unavailable' });
  });

  function set(changes: object) {
    kubernetes.tokens.set(token, { pod: 'workers-0-abcde', uid: 'uid-1', ...changes });
  }
  function pod(changes: object) {
    kubernetes.pods.set('workers-0-abcde', { uid: 'uid-1', owner: jobName, ...changes });
  }
});

describe('the Job of the workers', () => {
  it('says how many are wanted, and when others change that or suspend it', async () => {
    const job = await open(jobName, 2);
    const heard: number[] = [];
    job.onChange((wanted) => heard.push(wanted));
    expect(job.wanted).toBe(4);
    kubernetes.change({ parallelism: 3, completions: 3 });
    await expect.poll(() => heard).toEqual([6]);
    kubernetes.change({ suspend: true });
    await expect.poll(() => heard).toEqual([6, 0]);
    kubernetes.change({ suspend: false });
    await expect.poll(() => heard).toEqual([6, 0, 6]);
  });

  it('is scaled by both numbers at once, in whole pods', async () => {
    const job = await open(jobName, 2);
    await job.scale(6);
    expect(kubernetes.job).toMatchObject({ parallelism: 3, completions: 3 });
    await expect.poll(() => job.wanted).toBe(6);
    await expect(job.scale(5)).rejects.toMatchObject({ code: 'invalid-argument' });
    expect(kubernetes.job.parallelism).toBe(3);
  });

  it('tells what may not be read', async () => {
    await expect(openWorkload(api, { kind: 'Job', name: 'others' }, 1)).rejects.toMatchObject({
      ...{ code: 'permission-denied', message: expect.stringMatching(/: "[^\\]*" is forbidden/) },
    });
  });
});

describe('the StatefulSet of the workers', () => {
  it('says how many are wanted, and when `kubectl scale` changed that', async () => {
    const workload = await open(statefulSetName, 2);
    const heard: number[] = [];
    workload.onChange((wanted) => heard.push(wanted));
    expect(workload.wanted).toBe(4);
    kubernetes.scale(3);
    await expect.poll(() => heard).toEqual([6]);
    kubernetes.scale(0);
    await expect.poll(() => heard).toEqual([6, 0]);
  });

  it('is scaled and annotated by the rights to that alone', async () => {
    const workload = await open(statefulSetName, 2);
    await workload.scale(6);
    expect(kubernetes.statefulSet.replicas).toBe(3);
    await expect.poll(() => workload.wanted).toBe(6);
    const progress = showProgress(api, workload, { podName: 'coordinator-0', everyMs: 0 });
    progress.hear({ kind: 'checkpoint', name: 'epoch-0001', step: 7 });
    progress.hear({ kind: 'warning', text: 'a warning' });
    await progress.close();
    expect(kubernetes.statefulSet.annotations).toEqual({ 'rondo/checkpoint': 'epoch-0001' });
    expect(kubernetes.events).toMatchObject([{ reason: 'Warned' }]);
    expect(kubernetes.asked.filter(({ status }) => status >= 400)).toEqual([]);
  });

  it('has no pods when the run is over, for it would start them again; a Job is left as it is', async () => {
    const never = new AbortController().signal;
    await dismissWorkers(api, jobName, never);
    expect(kubernetes.asked).toEqual([]);
    await dismissWorkers(api, statefulSetName, never);
    expect(kubernetes.statefulSet.replicas).toBe(0);
  });

  it('is waited for at the end while the API server is away, until SIGTERM', async () => {
    kubernetes.close();
    await dismissWorkers(api, statefulSetName, AbortSignal.timeout(50));
    expect(kubernetes.statefulSet.replicas).toBe(2);
  });

  it('is named as kubectl does', () => {
    expect(parseWorkloadName('StatefulSet/workers')).toEqual(statefulSetName);
    for (const text of ['workers', 'Deployment/workers', 'Job/', 'Job/a/b']) {
      expect(() => parseWorkloadName(text), text).toThrow('neither a Job nor a StatefulSet');
    }
  });
});

describe('progress', () => {
  it('is Events for what happens, and few annotations for how far it is', async () => {
    const progress = showProgress(api, await open(jobName), {
      podName: 'coordinator-0',
      everyMs: 60_000,
    });
    progress.hear({
      ...{
        kind: 'prepared',
        runId: 'mine',
        directory: '',
        arch: 'resnet18',
        size: 32,
        workers: 2,
        classes: 3,
      },
      ...{ train: 60, valid: 12, quarantined: 0, epochs: 2, stepsPerEpoch: 5, startStep: 0 },
    });
    for (let step = 0; step < 7; step += 1) {
      progress.hear({
        ...{
          kind: 'step',
          step,
          epoch: Math.floor(step / 5),
          loss: 0.5,
          samples: 20,
          seconds: 1,
          skipped: false,
        },
      });
    }
    progress.hear({ kind: 'worker-lost', worker: 'w1', rank: 1, step: 6, reason: `it ${'x'.repeat(2_000)}` });
    await progress.close();
    expect(kubernetes.job.annotations).toMatchObject({
      ...{ 'rondo/run': 'mine', 'rondo/step': '7 of 10', 'rondo/epoch': '2 of 2', 'rondo/loss': '0.5000' },
    });
    expect(Date.parse(kubernetes.job.annotations['rondo/eta']!)).toBeGreaterThan(Date.now());
    expect(kubernetes.asked.filter(({ method }) => method === 'PATCH').length).toBeLessThanOrEqual(2);
    expect(kubernetes.events).toMatchObject([{ reason: 'WorkerLost', type: 'Warning' }]);
    expect(kubernetes.events[0]!.message.length).toBeLessThanOrEqual(1_024);
    expect(kubernetes.asked.filter(({ status }) => status >= 400)).toEqual([]);
  });

  it('warns of steps that are lost, and of none where a suspended run was saved', async () => {
    const progress = showProgress(api, await open(jobName), { podName: 'coordinator-0' });
    progress.hear({ kind: 'rolled-back', fromStep: 17, toStep: 17 });
    progress.hear({ kind: 'rolled-back', fromStep: 17, toStep: 13 });
    await progress.close();
    expect(kubernetes.events).toMatchObject([
      { type: 'Normal', reason: 'Saved', message: 'step 17, after which no worker was left' },
      { type: 'Warning', reason: 'RolledBack', message: 'from step 17 to 13: no worker held the state' },
    ]);
  });

  it('does no harm where it may not be shown', async () => {
    const job = await open(jobName);
    kubernetes.close();
    const progress = showProgress(api, job, { podName: 'coordinator-0', everyMs: 0 });
    progress.hear({ kind: 'warning', text: 'a warning' });
    await progress.close();
    expect(kubernetes.events).toEqual([]);
  });
});

it('the API is spoken to in a pod alone', () => {
  expect(() => openKubernetesApi({})).toThrow(expect.objectContaining({ code: 'failed-precondition' }));
});
