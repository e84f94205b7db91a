import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { renderStatus } from '../../../coordinator/cli/status.js';
import { connectControl } from '../../../coordinator/cluster/control.js';
import { localServices } from '../../../coordinator/local-services.js';
import { controlOf, measurePace, openControl } from '../../../coordinator/run/control-run.js';
import { noResources } from '../../../coordinator/run/open-resources.js';
import type { LaunchedWorkers, RunningCluster } from '../../../coordinator/run/services.js';
import { readControlFile } from '../../../coordinator/run-store/control-file.js';
import { lockRun, runDirectoryAt } from '../../../coordinator/run-store/run-directory.js';
import { keepRunLog } from '../../../coordinator/terminal/run-log.js';
import type { MemberStatus } from '../../../proto/run-status.js';
import { collect } from '../../support/collect.js';
import { temporaryFolder, tinyConfig } from '../../support/tiny-run.js';

const idle = { host: 'box', pid: 4711, silentSeconds: 0.25, cpuQuota: null, step: null, slow: null } as const;

function member(worker: string, rank: number | null, changes: Partial<MemberStatus> = {}) {
  return { worker, rank, state: 'computing' as const, ...idle, ...changes };
}

/** A run with workers worker-0 and worker-1 of its own, and a guest. */
function openFixture() {
  const scaled: number[] = [];
  const workers = {
    workerIds: ['worker-0', 'worker-1'],
    scale(count: number) {
      scaled.push(count);
      return { starting: ['worker-2'], stopping: [] };
    },
  } as unknown as LaunchedWorkers;
  const members = [
    member('guest', 0),
    member('worker-0', 1),
    member('worker-1', 2, {
      step: { own: 0.8, compute: 0.7, data: 0.1, wait: 0.01, samples: 4, cores: 0.5 },
      slow: { times: 2, reason: 'its CPU quota is 0.50 cores' },
    }),
  ];
  const cluster = {
    status: () => ({ phase: 'training' as const, generation: 3, worldSize: 3, members }),
  } as unknown as RunningCluster;
  const resources = { ...noResources(), workers, cluster };
  const run = {
    ...{ config: tinyConfig(), resources, counts: { minWorkers: 2, maxWorkers: 6 } },
    recorder: { nextStep: 4, attempt: 2, recoveries: 3 },
    log: keepRunLog(() => 0),
  };
  return { run, scaled, control: controlOf(run, measurePace()) };
}

describe('a run that goes on', () => {
  it('says what it is at', () => {
    const status = openFixture().control.status();
    expect(status).toMatchObject({
      ...{ runId: 'tiny', phase: 'training', generation: 3, worldSize: 3, steps: 4, totalSteps: 9, epoch: 1 },
      ...{ attempt: 2, recoveries: 3, stepsPerSecond: null, minWorkers: 2, maxWorkers: 6 },
    });
    expect(status.members.map(({ local }) => local)).toEqual([false, true, true]);
    const lines = renderStatus({ ...status, stepsPerSecond: 1.5 });
    expect(lines[0]).toBe(
      'run tiny: training · 4 of 9 steps taken (epoch 2 of 3), step 4 for the second time',
    );
    expect(lines[1]).toBe(
      'generation 3 · 3 workers (2 to 6) · 1.50 steps/s · went on 3 times after a change',
    );
    expect(lines[5]).toMatch(
      /^worker-1 +2 +box +4711 +computing +0\.3 s ago +800 ms +100 ms +10 ms +0\.50 +slow$/,
    );
    expect(lines[6]).toMatch(/^worker-1 is slow, 2\.0 times the others' time per image: its CPU quota/);
  });

  it('scales the workers of this machine, and counts those from elsewhere', async () => {
    const { control, scaled } = openFixture();
    expect(await control.scale(4)).toEqual({ starting: ['worker-2'], stopping: [] });
    expect(scaled).toEqual([3]);
  });

  it.each([
    [1, /with 1 workers the run would wait: it needs 2 \(--min-workers\)/],
    [7, /at most 6 workers \(--max-workers\)/],
  ])('refuses %d workers', async (workers, message) => {
    const { control, scaled } = openFixture();
    await expect(control.scale(workers)).rejects.toThrowError(message);
    expect(scaled).toEqual([]);
  });

  it('refuses fewer than come from elsewhere, and to start any where it starts none', async () => {
    const { run } = openFixture();
    const counts = { minWorkers: 1, maxWorkers: 6 };
    const noneHere = controlOf(
      { ...run, counts, resources: { ...run.resources, workers: null } },
      measurePace(),
    );
    await expect(noneHere.scale(2)).rejects.toThrowError(/3 workers that were not started here take part/);
    await expect(noneHere.scale(4)).rejects.toThrowError(/the run starts no workers on this machine/);
  });

  it('measures its pace over its last steps', () => {
    const pace = measurePace();
    pace.committed(0);
    expect(pace.stepsPerSecond()).toBeNull();
    for (let step = 1; step <= 30; step += 1)
      pace.committed(step < 10 ? 1_000 * step : 9_000 + 500 * (step - 9));
    expect(pace.stepsPerSecond()).toBeCloseTo(2);
  });
});

describe('the control of a run', () => {
  it('answers those who can read its file, which is gone afterwards', async () => {
    const directory = runDirectoryAt(join(temporaryFolder()));
    onTestFinished(lockRun(directory.path));
    const { run, control, scaled } = openFixture();
    const warnings: unknown[] = [];
    const context = { services: localServices, report: (event: unknown) => warnings.push(event) };
    await openControl(control, directory.control, run.resources, context);
    onTestFinished(() => run.resources.control?.end('over'));
    expect(statSync(directory.control).mode & 0o777).toBe(0o600);

    const place = readControlFile(directory);
    const connection = connectControl(place, 10_000);
    onTestFinished(connection.close);
    expect(await connection.status()).toEqual(control.status());
    expect(await connection.scale(5)).toEqual({ starting: ['worker-2'], stopping: [] });
    expect(scaled).toEqual([4]);
    await expect(connection.scale(99)).rejects.toMatchObject({
      code: 'invalid-argument',
      remedy: 'stop it, and resume it with a higher --max-workers',
    });
    const stranger = connectControl({ ...place, token: 'another-token-of-a-run' }, 10_000);
    onTestFinished(stranger.close);
    await expect(stranger.scale(5)).rejects.toMatchObject({ code: 'unauthenticated' });
    run.log.hear({ kind: 'note', text: 'said before' });
    const said = collect(
      connection.readLog({ follow: true, tail: 0, json: false }, new AbortController().signal),
    );
    expect(scaled).toEqual([4]);

    // Once this is answered, that is being read.
    await connection.status();
    run.resources.control!.end('the run is completed');
    expect(await said).toEqual(['said before', 'the run is completed']);
    expect(existsSync(directory.control)).toBe(false);
    expect(() => readControlFile(directory)).toThrowError(/cannot be asked: it is still starting, or ending/);
    expect(warnings).toEqual([]);
  });

  it('does without when its file cannot be written, and says of a run that is over that it does not run', async () => {
    const directory = runDirectoryAt(join(temporaryFolder(), 'gone'));
    const { run, control } = openFixture();
    const events: unknown[] = [];
    const context = { services: localServices, report: (event: unknown) => events.push(event) };
    await openControl(control, directory.control, run.resources, context);
    run.resources.control?.end('over');
    expect(events).toMatchObject([
      { kind: 'warning', text: expect.stringMatching(/cannot be asked for its status, nor scaled/) },
    ]);
    expect(() => readControlFile(directory)).toThrowError(/run gone is not running/);
  });
});
