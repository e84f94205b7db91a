import { expect } from 'vitest';
import { runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { openPackedRuns, withServers } from '../support/packed-runs.js';
import { readCommittedSteps } from '../support/run-files.js';
import { joinWorker } from '../support/worker-process.js';

const on = openPackedRuns(60);
const { runs, packed, environmentOf, recipe, train, digestOf, samplesOf } = on;

/** Of a run by windows of shards; each of its steps' five micro-batches has a partition. */
const byWindows = (shards: number) => ['--shuffle-window', String(shards)];

withServers(
  'a run by windows of shards is the same from all sources, in any world, killed and resized',
  async () => {
    const windows = byWindows(5);
    await train('windows-shards', packed, 1, ...windows);
    await train('windows-web', (await on.serve()).url, 3, ...windows);
    await train('windows-bucket', 's3://photos/packed', 4, ...windows);
    const killed = startCoordinator(
      recipe('windows-killed', 's3://photos/packed', 2, ...windows),
      environmentOf('windows-killed'),
    );
    await killed.event(({ kind, step }) => kind === 'step' && step === 3);
    killed.kill('SIGKILL');
    await killed.exited;
    const resume = runs.resume('windows-killed', '--workers', '3');
    const { code, stderr } = await runCoordinator(resume, environmentOf('windows-killed'));
    expect(code, stderr).toBe(0);
    for (const name of ['windows-web', 'windows-bucket', 'windows-killed']) {
      expect(samplesOf(name), name).toEqual(samplesOf('windows-shards'));
      expect(digestOf(name), name).toBe(digestOf('windows-shards'));
    }
  },
);

withServers(
  'a run by windows of shards is the same on two, three and four machines, each with its own partitions',
  async () => {
    const name = 'windows-machines';
    const { url } = await on.serve();
    const onMachines = ['--local-workers', '0'];
    const start = recipe(name, url, 2, ...onMachines, '--checkpoint-steps', '1', ...byWindows(5));
    /** Whose workers have a name and a cache for each machine. */
    const open = async (command: readonly string[], world: number) => {
      const coordinator = startCoordinator(command, environmentOf(name));
      const waiting = await coordinator.event(({ kind }) => kind === 'waiting');
      const workers = Array.from({ length: world }, (_, index) => {
        const machine = `machine-${index}`;
        const environment = { ...environmentOf(machine), RONDO_HOST: machine };
        return joinWorker(waiting, { inputs: ['--id', `worker-${index}`], environment });
      });
      return { coordinator, workers };
    };
    for (const [world, until] of [
      [2, 2],
      [3, 5],
    ] as const) {
      const command = world === 2 ? start : runs.resume(name, '--workers', String(world), ...onMachines);
      const { coordinator } = await open(command, world);
      await coordinator.event(({ kind, step }) => kind === 'step' && Number(step) >= until);
      coordinator.kill('SIGINT');
      await coordinator.exited;
    }
    const last = await open(runs.resume(name, '--workers', '4', ...onMachines), 4);
    await last.coordinator.event(({ kind, step }) => kind === 'step' && Number(step) >= 9);
    last.workers[0]!.kill('SIGKILL');
    const { code, stderr } = await last.coordinator.exited;
    expect(code, stderr).toBe(0);

    expect(digestOf(name)).toBe(digestOf('windows-shards'));
    const steps = readCommittedSteps(runs.run(name));
    expect(steps.map(({ shares }) => shares.length).filter((n, at, all) => n !== all[at - 1])).toEqual([
      2, 3, 4, 3,
    ]);
    // In the order of their places in the step a rank's micro-batches are not neighbours.
    const planned = new Map(samplesOf('windows-shards'));
    const apart = steps.filter(({ step, shares }) => shares.flat().join() !== planned.get(step)!.join());
    expect(apart.length).toBeGreaterThan(steps.length / 2);
    const verified = await runCoordinator(['verify-run', runs.run(name), '--json'], environmentOf(name));
    expect(verified.code, verified.stderr).toBe(0);
  },
);

withServers(
  'a run by windows that is resumed amid its epoch fetches the bytes that it has not consumed',
  async () => {
    const name = 'windows-amid';
    // All shards are in a window, and the epoch is the last one: nothing comes after it.
    const options = [...byWindows(1_000), '--epochs', '1'];
    await train('windows-whole', packed, 1, ...options);
    const web = await on.serve();
    const coordinator = startCoordinator(
      recipe(name, web.url, 2, ...options, '--checkpoint-steps', '1'),
      environmentOf(name),
    );
    await coordinator.event(({ kind, step }) => kind === 'step' && step === 2);
    coordinator.kill('SIGINT');
    await coordinator.exited;
    const consumed = new Set(readCommittedSteps(runs.run(name)).flatMap(({ shares }) => shares.flat()));
    // Another machine: nothing is cached.
    web.requests.length = 0;
    const { code, stderr } = await runCoordinator(runs.resume(name), environmentOf('windows-elsewhere'));
    expect(code, stderr).toBe(0);
    expect(digestOf(name)).toBe(digestOf('windows-whole'));
    on.expectFetched(web, await on.leftOf(consumed, 1_000));
  },
);
