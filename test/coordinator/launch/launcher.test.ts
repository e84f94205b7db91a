import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type LaunchOptions,
  type LocalWorkers,
  launchWorkers,
} from '../../../coordinator/launch/launcher.js';
import { workerNodeArguments } from '../../../coordinator/launch/worker-environment.js';
import type { RondoError } from '../../../runtime/errors.js';

const program = fileURLToPath(new URL('../../support/fake-worker-program.mjs', import.meta.url));

let folder: string;
let workers: LocalWorkers | undefined;
let [restarts, failures]: [string[], RondoError[]] = [[], []];

beforeEach(async () => {
  [restarts, failures] = [[], []];
  folder = await mkdtemp(join(tmpdir(), 'rondo-launcher-'));
});
afterEach(async () => {
  workers?.destroy();
  await workers?.exited();
  workers = undefined;
  await rm(folder, { recursive: true, force: true });
});

function launch(role: string, changes: Partial<LaunchOptions> = {}): LocalWorkers {
  workers = launchWorkers({
    count: 2,
    coordinatorAddress: '127.0.0.1:7070',
    env: { RONDO_TOKEN: 'the-token-of-a-run', RONDO_TEST_ROLE: role, RONDO_TEST_FOLDER: folder },
    logDir: join(folder, 'logs'),
    threadsPerWorker: 3,
    gpus: [],
    program,
    onRestart: ({ message }) => restarts.push(message),
    onFailure: (error) => failures.push(error),
    ...changes,
  });
  return workers;
}

interface Report {
  readonly nodeArguments: string[];
  readonly arguments: string[];
  readonly environment: Record<string, string>;
  readonly pid: number;
}

function readReport(id: string): Promise<Report> {
  return expect
    .poll(() => readFile(join(folder, `${id}.json`), 'utf8').then(JSON.parse, () => null), {
      timeout: 20_000,
    })
    .not.toBeNull()
    .then(async () => JSON.parse(await readFile(join(folder, `${id}.json`), 'utf8')) as Report);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('launchWorkers', () => {
  it('starts each worker with its id, threads, arguments for Node and no GPU, and keeps what it prints', async () => {
    const { pids } = launch('polite');
    for (const index of [0, 1]) {
      const report = await readReport(`worker-${index}`);
      expect(report.nodeArguments).toEqual(workerNodeArguments);
      expect(report.arguments).toEqual([
        'join',
        '--coordinator',
        '127.0.0.1:7070',
        '--id',
        `worker-${index}`,
      ]);
      expect(report.environment).toEqual({
        TF_NUM_INTRAOP_THREADS: '3',
        TF_NUM_INTEROP_THREADS: '1',
        OMP_NUM_THREADS: '3',
        UV_THREADPOOL_SIZE: '6',
        CUDA_VISIBLE_DEVICES: '',
        // Not among the arguments, which every user of the machine reads.
        RONDO_TOKEN: 'the-token-of-a-run',
      });
      expect(report.pid).toBe(pids[index]);
      const log = await readFile(join(folder, 'logs', `worker-${index}.log`), 'utf8');
      expect(log).toBe(`worker-${index} speaks\nworker-${index} complains\n`);
    }
  });

  it('gives each worker a device, in turn', async () => {
    launch('polite', { count: 3, gpus: ['4', 'GPU-12ab'] });
    const devices = await Promise.all(
      [0, 1, 2].map(async (index) => (await readReport(`worker-${index}`)).environment.CUDA_VISIBLE_DEVICES),
    );
    expect(devices).toEqual(['4', 'GPU-12ab', '4']);
  });

  it('puts each worker in a process group of its own', async () => {
    const { pids } = launch('polite');
    for (const pid of pids) {
      const { stdout } = await promisify(execFile)('ps', ['-o', 'pgid=', '-p', String(pid)]);
      expect(Number(stdout)).toBe(pid);
    }
  });

  it('starts one that dies again, gives it up the third time, and has its last lines of this run', async () => {
    await mkdir(join(folder, 'logs'));
    await writeFile(join(folder, 'logs', 'worker-1.log'), 'yesterday\n');
    launch('die');
    await expect.poll(() => failures.length).toBe(1);
    const [error] = failures as [RondoError];
    expect(error.code).toBe('unavailable');
    expect(error.message).toMatch(/^worker-1 ended with exit code 3\. Its last lines:\ntrouble 25\n/);
    expect(error.message).toMatch(/trouble 39$/);
    expect(error.message).not.toMatch(/yesterday/);
    expect(error.remedy).toContain(join(folder, 'logs', 'worker-1.log'));
    expect(restarts).toHaveLength(2);
    const log = await readFile(join(folder, 'logs', 'worker-1.log'), 'utf8');
    expect(log).toMatch(/^yesterday\nworker-1 speaks\n/);
    expect(log.match(/worker-1 speaks/g)).toHaveLength(3);
    // The other one is none the worse for it.
    expect(isAlive((await readReport('worker-0')).pid)).toBe(true);
  });

  it('starts one that was killed again, under its id', async () => {
    const launched = launch('polite');
    const { pid } = await readReport('worker-0');
    await rm(join(folder, 'worker-0.json'));
    process.kill(pid, 'SIGKILL');
    const again = await readReport('worker-0');
    expect(again.pid).not.toBe(pid);
    expect(again.arguments).toContain('worker-0');
    expect(launched.pids).toContain(again.pid);
    expect(restarts[0]).toMatch(/^worker-0 was ended by SIGKILL/);
    expect(failures).toEqual([]);
  });

  it('starts none again once they are expected to end', async () => {
    const launched = launch('polite');
    const { pid } = await readReport('worker-0');
    await readReport('worker-1');
    const exited = launched.exited();
    process.kill(pid, 'SIGKILL');
    await launched.close(20_000);
    expect((await exited).map(({ signal }) => signal)).toEqual(['SIGKILL', null]);
    expect(restarts).toEqual([]);
  });

  it('reports a program that is not there', async () => {
    launch('polite', { count: 1, program: join(folder, 'nothing.js') });
    await expect.poll(() => failures.length).toBe(1);
    expect(failures[0]!.message).toMatch(/Cannot find module/);
  });

  it('says nothing of workers that finish, and starts none again', async () => {
    const launched = launch('finish');
    await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    await expect.poll(() => launched.pids).toEqual([]);
    const exits = await launched.exited();
    expect(exits.map(({ workerId, exitCode, signal }) => [workerId, exitCode, signal])).toEqual([
      ['worker-0', 0, null],
      ['worker-1', 0, null],
    ]);
    expect([restarts, failures]).toEqual([[], []]);
  });

  it('closes politely, twice', async () => {
    const launched = launch('polite');
    await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    await Promise.all([launched.close(20_000), launched.close(20_000)]);
    await launched.close(20_000);
    expect((await launched.exited()).map(({ exitCode, signal }) => [exitCode, signal])).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(launched.pids.filter(isAlive)).toEqual([]);
  });

  it('closes workers that do not listen by force', async () => {
    const launched = launch('stubborn');
    await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    await launched.close(200);
    expect((await launched.exited()).map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL']);
    expect(await readFile(join(folder, 'logs', 'worker-0.log'), 'utf8')).toMatch(/will not go/);
    expect([restarts, failures]).toEqual([[], []]);
  });

  it('leaves nothing running when the coordinator exits without closing', async () => {
    const before = process.listeners('exit');
    const launched = launch('stubborn');
    await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    const [atExit, ...others] = process.listeners('exit').filter((listener) => !before.includes(listener));
    expect(others).toEqual([]);
    atExit?.call(process, 0);
    expect((await launched.exited()).map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL']);
    expect(process.listeners('exit')).toEqual(before);
  });

  it('starts and stops workers while others go on, and starts none again that it stopped', async () => {
    const launched = launch('polite');
    const first = await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    expect(launched.scale(4)).toEqual({ starting: ['worker-2', 'worker-3'], stopping: [] });
    const added = await Promise.all([readReport('worker-2'), readReport('worker-3')]);
    expect(launched.workerIds).toEqual(['worker-0', 'worker-1', 'worker-2', 'worker-3']);
    expect(launched.scale(1)).toEqual({ starting: [], stopping: ['worker-1', 'worker-2', 'worker-3'] });
    expect(launched.workerIds).toEqual(['worker-0']);
    await expect.poll(() => launched.pids).toEqual([first[0].pid]);
    await rm(join(folder, 'worker-1.json'));
    expect(launched.scale(2)).toEqual({ starting: ['worker-1'], stopping: [] });
    const again = await readReport('worker-1');
    expect(again.pid).not.toBe(first[1].pid);
    expect(launched.scale(2)).toEqual({ starting: [], stopping: [] });
    await launched.close(20_000);
    const ids = (await launched.exited()).map(({ workerId }) => workerId);
    expect(ids).toEqual(['worker-0', 'worker-1', 'worker-2', 'worker-3']);
    for (const { pid } of [...first, ...added, again]) expect(isAlive(pid)).toBe(false);
    expect([restarts, failures]).toEqual([[], []]);
    expect(() => launched.scale(3)).toThrowError(/the run is ending/);
  });

  it('takes over those that run, starts what is missing, and says how many are to be there', async () => {
    const counts: number[] = [];
    const one = launch('polite', { count: 3 });
    for (const index of [0, 1, 2]) await readReport(`worker-${index}`);
    const [, second, third] = one.pids;
    const earlier = [1, 2].map((index) => ({ workerId: `worker-${index}`, pid: one.pids[index]! }));
    const dead = { workerId: 'worker-7', pid: 2 ** 22 + 1 };
    const left = new Set<number>();
    const other = launchWorkers({
      ...{
        coordinatorAddress: '127.0.0.1:7070',
        logDir: join(folder, 'logs'),
        threadsPerWorker: 1,
        gpus: [],
      },
      ...{ program, count: 2, earlier: [...earlier, dead] },
      onCount: (count) => counts.push(count),
      hasLeft: (workerId, pid) => workerId === 'worker-2' && left.has(pid),
      onRestart: ({ message }) => restarts.push(message),
      onFailure: (error) => failures.push(error),
    });
    try {
      expect(other.pids).toEqual([second, third]);
      expect([other.workerIds, counts]).toEqual([['worker-1', 'worker-2'], [2]]);
      // It left in order, though nobody can tell its exit code.
      left.add(third!);
      void one.exited();
      process.kill(third!, 'SIGTERM');
      await expect.poll(() => counts).toEqual([2, 1]);
      expect([other.workerIds, restarts, failures]).toEqual([['worker-1'], [], []]);
      // This one was killed.
      process.kill(second!, 'SIGKILL');
      await expect.poll(() => restarts).toEqual([expect.stringMatching(/^worker-1 ended/)]);
    } finally {
      other.destroy();
      await other.exited();
    }
  });

  it('gives one that is on its way out no successor of the same name', async () => {
    const launched = launch('stubborn');
    await Promise.all([readReport('worker-0'), readReport('worker-1')]);
    launched.scale(1);
    expect(launched.scale(2)).toEqual({ starting: ['worker-2'], stopping: [] });
    await readReport('worker-2');
    await launched.close(0);
    expect((await launched.exited()).map(({ signal }) => signal)).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL']);
  });

  it('starts nothing when logs cannot be written', async () => {
    await writeFile(join(folder, 'logs'), 'a file, not a folder');
    expect(() => launch('polite')).toThrowError(expect.objectContaining({ name: 'RondoError' }));
  });
});
