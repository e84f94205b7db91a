import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Network, openNetwork } from '../../bench/support/network.js';

/** A network namespace with shared memory of its own, and without the folders that it is not to see. */
export interface Machine {
  readonly address: string;
  /** Where what its processes have in /dev/shm is seen from outside. */
  readonly sharedMemory: string;
  /** What runs a program there: to be put before its command line. */
  inside(hidden?: readonly string[]): string[];
}

export interface Machines {
  readonly machines: readonly Machine[];
  /** Types a line of `worker …` on one of them. */
  type(
    machine: Machine,
    line: string,
    o?: {
      hidden?: readonly string[];
      more?: readonly string[];
      environment?: Readonly<Record<string, string>>;
    },
  ): Worker;
  /** Takes the machines, and what runs there, away. */
  destroy(): void;
}

export interface Worker {
  readonly child: ChildProcess;
  /** Its exit code, and what it wrote to standard error. */
  readonly exited: Promise<{ readonly code: number | null; readonly stderr: string }>;
}

const worker = fileURLToPath(new URL('../../dist/worker/main.js', import.meta.url));
const megabytesPerSecond = 1_000;

/** Whether this machine lets its user make others. */
export function canMakeMachines(): boolean {
  try {
    openNetwork(1, megabytesPerSecond).destroy();
    return spawnSync('unshare', ['-m', 'true']).status === 0;
  } catch {
    return false;
  }
}

/** Machines of one network, 10.0.0.1 and so on. */
export function makeMachines(count: number): Machines {
  return machinesOn(openNetwork(count, megabytesPerSecond));
}

/** One on each host; they take the network away with them. */
export function machinesOn(network: Network): Machines {
  const children = new Set<ChildProcess>();
  const cache = mkdtempSync(path.join(tmpdir(), 'rondo-machines-'));
  const memory = mkdtempSync('/dev/shm/rondo-machines-');
  const machines = network.hosts.map(({ namespace, address }): Machine => {
    const sharedMemory = path.join(memory, address);
    mkdirSync(sharedMemory);
    return {
      ...{ address, sharedMemory },
      inside(hidden = []) {
        const mounts = hidden.map((folder) => `mount -t tmpfs tmpfs '${folder}' && `).join('');
        const own = `mount --bind '${sharedMemory}' /dev/shm && ${mounts}exec "$@"`;
        return ['ip', 'netns', 'exec', namespace, 'sh', '-c', own, 'sh'];
      },
    };
  });
  return {
    machines,
    type(machine, line, { hidden, more = [], environment = {} } = {}) {
      const [program, ...inputs] = line.split(' ');
      if (program !== 'worker') throw new Error(`not a worker's line: ${line}`);
      const [first, ...rest] = [...machine.inside(hidden), process.execPath, worker, ...inputs, ...more];
      const child = spawn(first!, rest, {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, RONDO_CACHE: path.join(cache, machine.address), ...environment },
      });
      children.add(child);
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const exited = new Promise<Awaited<Worker['exited']>>((resolve) =>
        child.on('close', (code) => {
          children.delete(child);
          resolve({ code, stderr });
        }),
      );
      return { child, exited };
    },
    destroy() {
      for (const child of children) child.kill('SIGKILL');
      network.destroy();
      for (const folder of [cache, memory]) rmSync(folder, { recursive: true, force: true });
    },
  };
}
