import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import {
  type CoordinatorProcess,
  killCoordinators,
  runCoordinator,
  startCoordinator,
} from '../support/coordinator-process.js';
import { type LossyNetwork, openLossyNetwork } from '../support/lossy-network.js';
import { canMakeMachines, type Machines, machinesOn } from '../support/machines.js';
import { readCommittedSteps, readStateDigest } from '../support/run-files.js';

const runs = mkdtempSync(path.join(tmpdir(), 'rondo-far-'));
const recipe = ['--arch', 'resnet18', '--epochs', '1', '--threads', '1', '--run-dir', runs, '--json'];
const delayMs = 20;
const lossPercent = 1;
const cutMs = 30_000;
let machines: Machines | undefined;

beforeAll(async () => {
  const near = await runCoordinator(['start', '--workers', '1', '--name', 'near', ...recipe]);
  expect(near.code, near.stderr).toBe(0);
});
afterEach(() => {
  killCoordinators();
  machines?.destroy();
});
afterAll(() => rmSync(runs, { recursive: true, force: true }));

const digest = (run: string) => readStateDigest(path.join(runs, run, 'checkpoints', 'epoch-0000'));

/** A coordinator on the first of five machines, and a worker on each of the others. */
async function start(name: string): Promise<{ network: LossyNetwork; coordinator: CoordinatorProcess }> {
  const network = await openLossyNetwork(5, { delayMs, lossPercent });
  machines = machinesOn(network);
  const [first, ...others] = machines.machines;
  const connect = `import socket, time; t = time.monotonic(); s = socket.socket(); s.connect_ex(('${others[0]!.address}', 9)); print(time.monotonic() - t)`;
  const [program, ...inside] = first!.inside();
  const { stdout } = spawnSync(program!, [...inside, 'python3', '-c', connect], { encoding: 'utf8' });
  expect(Number(stdout)).toBeGreaterThan((2 * delayMs) / 1_000);

  const listen = ['--listen', `${first!.address}:7070`, '--workers', '4', '--local-workers', '0'];
  const coordinator = startCoordinator(
    ['start', '--name', name, ...listen, '--silence-limit', '20', ...recipe],
    {},
    { within: first!.inside() },
  );
  const { address, joining } = await coordinator.event(({ kind }) => kind === 'waiting');
  const { token, hash } = joining as { token: string; hash: string };
  for (const machine of others) {
    machines.type(machine, `worker join --coordinator ${address} --token ${token} --ca-hash ${hash}`);
  }
  return { network, coordinator };
}

it.skipIf(!canMakeMachines())(
  'four workers on four machines, with 20 ms and 1 % loss between them, train to the bits of one',
  async () => {
    const { coordinator } = await start('far');
    const { code, stderr, events } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    expect(events.filter(({ kind }) => kind === 'worker-lost')).toEqual([]);
    expect(digest('far')).toBe(digest('near'));
  },
);

it.skipIf(!canMakeMachines())(
  'and so they do when nobody reaches the coordinator for half a minute',
  async () => {
    const { network, coordinator } = await start('cut');
    await coordinator.event(({ kind, step }) => kind === 'step' && Number(step) >= 2);
    network.cut(0);
    await new Promise((resolve) => setTimeout(resolve, cutMs));
    network.mend(0);
    const { code, stderr, events } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    // Longer than the silence that it bears: it took them for lost.
    expect(events.filter(({ kind }) => kind === 'worker-lost')).not.toEqual([]);
    expect(digest('cut')).toBe(digest('near'));
    const steps = readCommittedSteps(path.join(runs, 'cut')).map(({ step }) => step);
    expect(steps).toEqual([...steps.keys()]);
  },
);
