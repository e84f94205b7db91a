import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { killCoordinators, runCoordinator, startCoordinator } from '../support/coordinator-process.js';
import { canMakeMachines, type Machine, type Machines, makeMachines } from '../support/machines.js';
import { readStateDigest } from '../support/run-files.js';

const runs = mkdtempSync(path.join(tmpdir(), 'rondo-far-'));
let machines: Machines | undefined;

afterEach(() => {
  killCoordinators();
  machines?.destroy();
  rmSync(runs, { recursive: true, force: true });
});

/** Has all that a machine sends take 20 ms longer, and one packet in a hundred lost; false where the kernel cannot. */
function hinder(machine: Machine): boolean {
  const [first, ...rest] = machine.inside();
  const netem = ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', 'netem', 'delay', '20ms', 'loss', '1%'];
  return spawnSync(first!, [...rest, ...netem]).status === 0;
}

it.skipIf(!canMakeMachines())(
  'four workers on four machines, far from each other where the kernel can delay, train to the bits of one',
  async () => {
    const common = ['--run-dir', runs, '--json', '--threads', '1', '--epochs', '1'];
    const alone = await runCoordinator(['start', '--workers', '1', '--name', 'near', ...common]);
    expect(alone.code, alone.stderr).toBe(0);

    machines = makeMachines(5);
    const [first, ...others] = machines.machines;
    const hindered = machines.machines.map(hinder);
    expect(new Set(hindered).size).toBe(1);
    if (!hindered[0]) console.warn('the kernel has no netem: the machines are near each other');
    const listen = ['--listen', `${first!.address}:7070`, '--workers', '4', '--local-workers', '0'];
    const coordinator = startCoordinator(
      ['start', '--name', 'far', ...listen, '--silence-limit', '20', ...common],
      {},
      { within: first!.inside() },
    );
    const { address, joining } = await coordinator.event(({ kind }) => kind === 'waiting');
    const { token, hash } = joining as { token: string; hash: string };
    const line = `worker join --coordinator ${address} --token ${token} --ca-hash ${hash}`;
    const guests = others.map((machine) => machines!.type(machine, line));
    const { code, stderr } = await coordinator.exited;
    expect(code, stderr).toBe(0);
    for (const { exited } of guests) expect((await exited).code).toBe(0);
    const [near, far] = ['near', 'far'].map((name) =>
      readStateDigest(path.join(runs, name, 'checkpoints', 'epoch-0000')),
    );
    expect(far).toBe(near);
  },
  1_800_000,
);
