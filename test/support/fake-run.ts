import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { localServices } from '../../coordinator/local-services.js';
import type {
  ClusterListener,
  EpochEnd,
  EvaluationResult,
  WorkerPlace,
} from '../../coordinator/membership/cluster-events.js';
import type { ClusterResult, RunServices } from '../../coordinator/run/services.js';
import { planStep, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { StateChunk, StateHeader } from '../../proto/gen/coordinator.js';
import type { CoordinatorMetric } from '../../proto/metrics.js';
import { RondoError } from '../../runtime/errors.js';
import { fakeKernels } from './kernels.js';
import { lossOf, sharesOf, tinyDataset } from './tiny-run.js';

/** The state after `step` steps: a function of the step alone, as replicas' is. Each tensor is 2 by 3. */
export function fakeState(
  step: number,
  names: readonly string[] = ['conv1.weight', 'optimizer.first.conv1.weight'],
): { header: StateHeader; values: Float32Array } {
  const length = 6 * names.length;
  const values = Float32Array.from({ length }, (_, index) => step + index / 16);
  const header = {
    step: BigInt(step),
    length: BigInt(length),
    stateDigest: createHash('sha256').update(values).digest('hex'),
    parameterDigest: `parameters-${step}`,
    tensors: names.map((name, index) => ({ name, shape: [2, 3], offset: BigInt(6 * index) })),
  };
  return { header, values };
}

export interface FakeRun {
  readonly services: RunServices;
  /** What was opened and closed, in order. */
  readonly calls: string[];
  /** What workers read of the checkpoint when they started. */
  readonly loaded: number[];
  /** What workers were told of NATS, by each cluster that was opened. */
  readonly welcomes: { readonly natsUrl: string; readonly natsToken: string }[];
}

export interface Faults {
  /** Called before each step is committed. */
  beforeStep?(step: number): void | Promise<void>;
  /** The run fails at this step, because of a worker. */
  loseWorkerAt?: number;
  /** All workers are lost at this step, once. */
  loseStateAt?: number;
  pullState?: RunServices['pullState'];
  /** How far the run's clock is ahead. */
  aheadMs?(): number;
  /**
   * Goes on without waiting until an epoch's checkpoint is saved or has failed; real epochs take longer than
   * that.
   */
  eager?: boolean;
  openCluster?(): never;
  /** Also after it throws. */
  openCollector?(o: { onFailure(error: RondoError): void }): void;
  startMetricsServer?: () => ReturnType<RunServices['startMetricsServer']>;
  /** Of an epoch; 3 for each unless given. */
  validLoss?(epoch: number): number;
  /** Whether the loss of a step is not finite, so that nobody's state changes; none is unless given. */
  skips?(step: number): boolean;
  fetchWeights?: RunServices['fetchWeights'];
  checkWeights?: RunServices['checkWeights'];
  openDataset?: RunServices['openDataset'];
  serveVerifiers?: RunServices['serveVerifiers'];
}

/** Of a process that does not run. */
export const fakeServer = { port: 1, token: 'token', pid: 0, guardPid: 0 };

/** A cluster that follows the plan without computing anything. */
export function fakeRun(faults: Faults = {}): FakeRun {
  const calls: string[] = [];
  const loaded: number[] = [];
  const welcomes: FakeRun['welcomes'] = [];
  const closing = (name: string) => ({
    close: async () => void calls.push(`close ${name}`),
    destroy: () => void calls.push(`destroy ${name}`),
  });
  let time = 0;
  /** Steps whose checkpoint is saved or has failed. */
  const settled = new Set<number>();
  const pullState = faults.pullState ?? (async (_, { step }) => fakeState(step));
  const services: RunServices = {
    async openDataset(options) {
      if (faults.openDataset) return faults.openDataset(options);
      const { onProgress, signal } = options;
      signal.throwIfAborted();
      onProgress({ phase: 'verifying', done: 27, total: 27 });
      return { dataset: tinyDataset(), quarantined: [{ path: 'train/bad.jpg', reason: 'is truncated' }] };
    },
    fetchWeights: faults.fetchWeights ?? (() => Promise.reject(new Error('nothing may be fetched'))),
    checkWeights:
      faults.checkWeights ?? (async () => ({ tensors: 216, place: '', copies: [], headClasses: null })),
    async startMetricsServer() {
      if (faults.startMetricsServer) return faults.startMetricsServer();
      return {
        ...{ url: 'nats://127.0.0.1:1', token: 'token', failed: new Promise(() => {}), server: fakeServer },
        outlive() {},
        ...closing('server'),
      };
    },
    async openCollector({ runId, onMetric, onFailure }) {
      faults.openCollector?.({ onFailure });
      let sequence = 0;
      const publish = (metric: CoordinatorMetric) => {
        if (metric.kind === 'event' && metric.event === 'checkpoint') settled.add(metric.step);
        sequence += 1;
        onMetric({ ...metric, runId }, sequence);
      };
      return { publish, ...closing('collector') };
    },
    openAccess: localServices.openAccess,
    serveVerifiers:
      faults.serveVerifiers ?? (() => Promise.reject(new Error('nobody may be asked for help'))),
    async openCluster({ config, worldSize, listener, checkpoint, welcome, snapshotSteps }) {
      welcomes.push(welcome);
      faults.openCluster?.();
      let [stopping, snapshotDue] = [false, false];
      const takeSnapshot = (step: number) => {
        const isDue = snapshotDue || (snapshotSteps > 0 && step % snapshotSteps === 0);
        snapshotDue = false;
        return isDue;
      };
      const run = async ({ step, source }: { step: number; source: 'fresh' | 'checkpoint' }) => {
        stopping = false;
        if (source === 'checkpoint') loaded.push(...(await readValues(checkpoint(step))));
        const o = { config, worldSize, listener, faults, stopping: () => stopping, takeSnapshot, settled };
        return runFakeCluster(step, o);
      };
      return {
        address: '127.0.0.1:2',
        run,
        stop: () => {
          stopping = true;
        },
        snapshot: () => {
          snapshotDue = true;
        },
        synced: () => {},
        hasLeft: () => false,
        workerExited: () => {},
        status: () => ({ phase: 'training', generation: 1, worldSize, members: [] }),
        ...closing('cluster'),
      };
    },
    launchWorkers: ({ count }) => {
      calls.push(`launch ${count}`);
      return {
        workerIds: Array.from({ length: count }, (_, index) => `worker-${index}`),
        scale: () => ({ starting: [], stopping: [] }),
        exited: async () => {},
        leave() {},
        ...closing('workers'),
      };
    },
    serveControl: async () => ({ address: '127.0.0.1:3', close: async () => {}, destroy() {} }),
    pullState: (address, options) =>
      pullState(address, options).catch((error: unknown) => {
        settled.add(options.step);
        throw error;
      }),
    writeReport: localServices.writeReport,
    nowMs() {
      time += 10;
      return time + (faults.aheadMs?.() ?? 0);
    },
  };
  return { services, calls, loaded, welcomes };
}

async function readValues(chunks: AsyncIterable<StateChunk>): Promise<Float32Array> {
  const parts: Uint8Array[] = [];
  for await (const { part } of chunks) if (part?.$case === 'data') parts.push(part.value);
  const bytes = Buffer.concat(parts);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

interface FakeRunOptions {
  readonly config: RunConfig;
  readonly worldSize: number;
  readonly listener: ClusterListener;
  readonly faults: Faults;
  stopping(): boolean;
  /** Whether a snapshot is due after so many steps. */
  takeSnapshot(step: number): boolean;
  readonly settled: ReadonlySet<number>;
}

async function runFakeCluster(
  start: number,
  { config, worldSize, listener, faults, stopping, takeSnapshot, settled }: FakeRunOptions,
): Promise<ClusterResult> {
  const places = Array.from(
    { length: worldSize },
    (_, rank): WorkerPlace => ({
      workerId: `worker-${rank}`,
      rank,
      address: `127.0.0.1:${rank}`,
      pid: 1,
      host: 'h',
    }),
  );
  listener.assigned(1n, places);
  for (const place of places) listener.ready({ ...place, generation: 1n, kernels: fakeKernels });
  const result = { stateLost: false, metrics: { published: 3, dropped: 1 } };
  const { kind } = config.task;
  for (let step = start; kind !== 'evaluate' && step < totalSteps(config); step++) {
    await faults.beforeStep?.(step);
    if (step === faults.loseStateAt) {
      faults.loseStateAt = -1;
      return { ...result, step, stopped: false, stateLost: true };
    }
    if (step === faults.loseWorkerAt) {
      listener.workerLost({ workerId: 'worker-1', rank: 1, step, reason: 'its stream ended' });
      throw new RondoError('unavailable', `worker-1 (rank 1) was lost at step ${step}`);
    }
    const plan = planStep(config, step);
    const shares = sharesOf(config, step, worldSize).map((share) => Uint32Array.from(share));
    const samples = plan.sampleIds.length;
    const skipped = faults.skips?.(step) ?? false;
    const loss = skipped ? Number.NaN : lossOf(step);
    const facts = { loss, correct: 1, samples, skipped, seconds: 0.5, shares };
    listener.stepCommitted({ generation: 1n, worldSize, step, ...facts });
    await setImmediate();
    const stopped = stopping() && !plan.lastOfRun;
    if (plan.lastOfEpoch || stopped) {
      endEpoch(listener, plan.epoch, step + 1, plan.lastOfEpoch, faults.validLoss?.(plan.epoch) ?? 3);
    }
    const inside = !plan.lastOfEpoch && !stopped && takeSnapshot(step + 1);
    if (inside) listener.epochCompleted({ ...endOf(plan.epoch, step + 1, false), stopped: false });
    while ((plan.lastOfEpoch || inside) && !faults.eager && !settled.has(step + 1)) await setImmediate();
    if (stopped) return { ...result, step: step + 1, stopped: true };
  }
  if (kind === 'evaluate') {
    for (const images of [1, 3, 5]) listener.evaluating(0, images);
    listener.evaluated(evaluationOf(0, start, 3));
  }
  const step = kind === 'evaluate' ? start : totalSteps(config);
  return { ...result, step, stopped: false, ...(kind === 'lr-find' ? { restoredDigest: 'restored' } : {}) };
}

/** Of 5 validation samples, labelled 0 1 0 1 0, all are taken for 0. */
function endEpoch(
  listener: ClusterListener,
  epoch: number,
  step: number,
  whole: boolean,
  validLoss: number,
): void {
  listener.epochCompleted(endOf(epoch, step, whole));
  if (!whole) return;
  listener.evaluated(evaluationOf(epoch, step, validLoss));
}

function endOf(epoch: number, step: number, whole: boolean): EpochEnd {
  const { stateDigest, parameterDigest } = fakeState(step).header;
  const digests = { stateDigest, parameterDigest };
  const holders = [0, 1].map((port) => ({ address: `127.0.0.1:${port}`, workerId: `worker-${port}` }));
  return { ...{ epoch, step, whole, stopped: !whole }, ...digests, holders, generation: 1n };
}

function evaluationOf(epoch: number, step: number, validLoss: number): EvaluationResult {
  return {
    epoch,
    step,
    sampleIds: Uint32Array.of(0, 1, 2, 3, 4),
    losses: Float32Array.of(-2, -1, 0, 1, 2).map((offset) => validLoss + offset),
    predictions: new Uint32Array(5),
    labelRanks: Uint32Array.of(0, 1, 0, 1, 0),
    probabilities: new Float32Array(5),
  };
}
