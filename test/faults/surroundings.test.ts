import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect } from 'vitest';
import { descendantsOf } from '../../bench/support/processes.js';
import { parseHostPort } from '../../runtime/host-port.js';
import { installation } from '../../runtime/installation.js';
import { cell, type Disturbed, openDisturbedRuns } from './disturbed-run.js';
import { type Fault, faults, type Phase } from './fault-table.js';

const disturbed = openDisturbedRuns();
const worker = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));
const guests: ChildProcess[] = [];
const mounted: string[] = [];

afterEach(() => {
  for (const guest of guests.splice(0)) guest.kill('SIGKILL');
  for (const folder of mounted.splice(0)) spawnSync('umount', ['-l', folder]);
});

/** Resolves when a run has come to a phase, as far as its events tell. */
async function comesTo({ coordinator }: Disturbed, phase: Phase): Promise<void> {
  const last = { joining: -1, compute: 3, evaluate: 5, checkpoint: 5 }[phase as 'compute'];
  await coordinator.event(({ kind, step, name }) => {
    if (phase === 'joining') return kind === 'waiting';
    return phase === 'checkpoint' ? kind === 'checkpoint' && name !== null : kind === 'step' && step === last;
  });
}

/** Cells whose fault comes from outside. */
function cellsFrom(fault: Fault, act: (run: Disturbed) => Promise<void>): void {
  for (const phase of faults[fault] as readonly Phase[]) {
    cell(fault, phase, async () => {
      const run = disturbed.start();
      await comesTo(run, phase);
      await act(run);
      await run.expectUnharmed();
    });
  }
}

cellsFrom('nats-server is killed', async ({ coordinator }) => {
  const server = descendantsOf(coordinator.pid).find(({ command }) => command.includes('nats-server'))!;
  process.kill(server.pid, 'SIGKILL');
});

cellsFrom("nats-server's store is wiped", async ({ name }) => {
  const store = path.join(disturbed.runs.run(name), 'nats');
  expect(readdirSync(path.join(store, 'jetstream'))).not.toEqual([]);
  rmSync(store, { recursive: true, force: true });
});

cellsFrom('a stranger sends garbage, and more than a message may hold', async ({ coordinator }) => {
  const { address } = await coordinator.event(({ kind }) => kind === 'waiting');
  for (const bytes of [Buffer.alloc(1 << 16, 0x5a), Buffer.alloc(64 << 20, 0xff)]) {
    const socket = connect(parseHostPort(String(address)));
    await once(socket, 'connect');
    const over = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    socket.write(bytes);
    // What is not read keeps it from closing, which the coordinator does: this side never does.
    socket.resume();
    await over;
  }
});

cellsFrom('another worker comes with the id of one that is there', async ({ coordinator }) => {
  const { address, tokenFile } = await coordinator.event(({ kind }) => kind === 'waiting');
  await coordinator.event(({ kind }) => kind === 'assigned');
  const place = ['--coordinator', String(address), '--token-file', String(tokenFile)];
  const guest = spawn(process.execPath, [worker, 'join', ...place, '--id', 'worker-0'], { stdio: 'ignore' });
  guests.push(guest);
  const code = await new Promise((resolve) => guest.once('exit', resolve));
  expect(code).toBe(3);
});

const full = "nats-server's disk is full";
for (const [phase, kibibytes] of [
  ['joining', 4],
  ['compute', 24],
] as const) {
  cell(full, phase, async () => {
    // The server that is started is this one, which gives its store a disk of its own first.
    const program = path.join(disturbed.marks, `nats-server-${phase}`);
    const stores = path.join(disturbed.marks, `stores-${phase}`);
    const script = [
      '#!/bin/sh',
      `store="$(dirname "$2")/jetstream"; mkdir -p "$store"; echo "$store" >>'${stores}'`,
      `mount -t tmpfs -o size=${kibibytes}k tmpfs "$store"; exec '${installation().natsServer}' "$@"`,
    ];
    writeFileSync(program, `${script.join('\n')}\n`);
    chmodSync(program, 0o755);
    const run = disturbed.start({ RONDO_NATS_SERVER: program });
    await run.coordinator.event(({ kind }) => kind === 'waiting');
    mounted.push(...readFileSync(stores, 'utf8').trim().split('\n'));
    await run.expectUnharmed();
  });
}
