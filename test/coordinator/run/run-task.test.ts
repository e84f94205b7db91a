import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAccess } from '../../../coordinator/cluster/run-access.js';
import type { CommittedStep } from '../../../coordinator/membership/cluster-events.js';
import { runTask } from '../../../coordinator/run/run-task.js';
import type { ClusterResult, RunServices } from '../../../coordinator/run/services.js';
import type { RunConfig } from '../../../plan/run-config.js';
import { createDeferred } from '../../../runtime/deferred.js';
import { RondoError } from '../../../runtime/errors.js';
import { tinyConfig, tinyDataset } from '../../support/tiny-run.js';

const result: ClusterResult = {
  step: 0,
  stopped: false,
  stateLost: false,
  metrics: { published: 0, dropped: 0 },
};

type Opened = Parameters<RunServices['openCluster']>[0];

/** A cluster whose run ends as `run` does, or as cancelled when it is closed first. */
function openFixture(
  run: (opened: Opened) => Promise<ClusterResult>,
  other: Partial<Pick<RunServices, 'openAccess'>> = {},
) {
  const calls: string[] = [];
  const logDirs: string[] = [];
  let outcome = createDeferred<ClusterResult>();
  const started = createDeferred<void>();
  const services: Pick<RunServices, 'openAccess' | 'openCluster' | 'launchWorkers'> = {
    openAccess,
    async openCluster(opened) {
      calls.push(`open for ${opened.worldSize}, metrics at "${opened.welcome.natsUrl}"`);
      return {
        address: '127.0.0.1:2',
        run({ step, source }) {
          calls.push(`run from step ${step}, ${source}`);
          started.resolve();
          outcome = createDeferred<ClusterResult>();
          run(opened).then(outcome.resolve, outcome.reject);
          return outcome.promise;
        },
        stop: () => calls.push('stop'),
        snapshot: () => {},
        synced: () => {},
        hasLeft: () => false,
        workerExited: (error) => outcome.reject(error),
        status: () => ({ phase: 'training', generation: 1, worldSize: 3, members: [] }),
        async close(ok) {
          calls.push(`close cluster ${ok}`);
          outcome.reject(new RondoError('cancelled', 'the cluster was closed'));
        },
        destroy: () => calls.push('destroy cluster'),
      };
    },
    launchWorkers({ count, logDir, threads, cacheGib }) {
      calls.push(`launch ${count} of ${threads} threads, ${cacheGib} GiB`);
      logDirs.push(logDir);
      writeFileSync(join(logDir, 'worker-0.log'), 'a line');
      return {
        workerIds: [],
        scale: () => ({ starting: [], stopping: [] }),
        leave() {},
        exited: async () => {},
        close: async () => void calls.push('close workers'),
        destroy: () => calls.push('destroy workers'),
      };
    },
    ...other,
  };
  const [graceful, immediate] = [new AbortController(), new AbortController()];
  const operate = (
    listener: { stepCommitted?(step: CommittedStep): void } = {},
    localWorkers = 2,
    changes: Partial<RunConfig> = {},
  ) =>
    runTask(
      {
        ...{ config: tinyConfig(changes), dataset: tinyDataset(), pretrainedPath: null, checkpoint: null },
        ...{ startStep: 0, workers: 3, localWorkers, cacheGib: 2, listener },
        listen: '127.0.0.1:0',
      },
      { services, report: () => {}, signals: { signal: graceful.signal, immediate: immediate.signal } },
    );
  return { calls, operate, graceful, immediate, started: started.promise, logs: () => logDirs[0]! };
}

describe('runTask', () => {
  it('gathers workers, does the task without metrics, and takes everything down', async () => {
    const fixture = openFixture(async () => result);
    expect(await fixture.operate()).toEqual(result);
    expect(fixture.calls).toEqual([
      'open for 3, metrics at ""',
      'launch 2 of 1 threads, 2 GiB',
      'run from step 0, fresh',
      'close cluster true',
      'close workers',
    ]);
    expect(existsSync(fixture.logs())).toBe(false);
  });

  it('lets the caller hear what it asked for, and nothing else be missed', async () => {
    const heard: number[] = [];
    const fixture = openFixture(async ({ listener }) => {
      listener.assigned(1n, []);
      listener.stepCommitted({ step: 4 } as CommittedStep);
      return result;
    });
    await fixture.operate({ stepCommitted: ({ step }) => heard.push(step) });
    expect(heard).toEqual([4]);
  });

  it('launches workers with the run’s threads', async () => {
    const fixture = openFixture(async () => result);
    await fixture.operate({}, 3, { threads: 5 });
    expect(fixture.calls).toContain('launch 3 of 5 threads, 2 GiB');
  });

  it.each([3, 2, 0])('says which %i workers are its own', async (localWorkers) => {
    const given: (readonly string[])[] = [];
    const fixture = openFixture(async (opened) => {
      given.push(opened.launched.workerIds);
      return result;
    });
    await fixture.operate({}, localWorkers);
    expect(given).toEqual([['worker-0', 'worker-1', 'worker-2'].slice(0, localWorkers)]);
  });

  it('begins again when all workers that held the state are lost', async () => {
    let runs = 0;
    const fixture = openFixture(async () => {
      runs += 1;
      return { ...result, stateLost: runs === 1 };
    });
    expect(await fixture.operate()).toEqual(result);
    expect(runs).toBe(2);
  });

  it('keeps the logs of a failure, for its message names them, but not the token', async () => {
    const lost = new RondoError('unavailable', 'worker-1 was lost');
    const joinable = () => existsSync(join(fixture.logs(), 'token'));
    const whileRunning: boolean[] = [];
    const fixture = openFixture(async () => {
      whileRunning.push(joinable());
      throw lost;
    });
    await expect(fixture.operate()).rejects.toBe(lost);
    expect(fixture.calls.slice(-2)).toEqual(['close cluster false', 'close workers']);
    expect(existsSync(join(fixture.logs(), 'worker-0.log'))).toBe(true);
    expect(whileRunning).toEqual([true]);
    expect(joinable()).toBe(false);
    rmSync(fixture.logs(), { recursive: true });
  });

  it('leaves no folder for logs where no worker was launched', async () => {
    const taken = new RondoError('unavailable', 'the address is taken');
    let folder = '';
    const fixture = openFixture(async () => result, {
      async openAccess(o) {
        folder = dirname(o.folder);
        throw taken;
      },
    });
    await expect(fixture.operate()).rejects.toBe(taken);
    expect(folder).not.toBe('');
    expect(existsSync(folder)).toBe(false);
  });

  it('ends with the signal’s reason, at once, without logs', async () => {
    const fixture = openFixture(() => new Promise(() => {}));
    const running = fixture.operate();
    await fixture.started;
    fixture.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    await expect(running).rejects.toThrow('stopped by SIGINT');
    expect(fixture.calls).toContain('close workers');
    expect(existsSync(fixture.logs())).toBe(false);
  });

  it('opens nothing when it was cancelled before', async () => {
    const fixture = openFixture(async () => result);
    fixture.graceful.abort(new RondoError('cancelled', 'stopped by SIGINT'));
    await expect(fixture.operate()).rejects.toThrow('stopped by SIGINT');
    expect(fixture.calls).toEqual([]);
  });

  it('breaks everything off when there is no time', async () => {
    const fixture = openFixture(() => new Promise(() => {}));
    const running = fixture.operate();
    await fixture.started;
    fixture.immediate.abort();
    expect(fixture.calls.slice(-2)).toEqual(['destroy workers', 'destroy cluster']);
    fixture.graceful.abort(new RondoError('cancelled', 'stopped'));
    await expect(running).rejects.toThrow('stopped');
  });
});
