import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openLineProcess } from '../support/line-process.js';
import { device, insideOf, type Network } from '../support/network.js';
import { peerScript } from '../support/peer-script.js';
import { python } from '../support/python.js';
import type { OverlapArguments } from './arguments.js';
import { type World, worldOf } from './world.js';

/** PyTorch's DistributedDataParallel over gloo: a Python process for each rank, in its namespace. */
export async function openDdp(
  network: Network,
  { arch, size, batch, ranks, threads }: OverlapArguments,
): Promise<World> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rondo-bench-ddp-'));
  const env = {
    ...{ GOMP_SPINCOUNT: '1000', ...process.env },
    ...{ OMP_NUM_THREADS: String(threads), GLOO_SOCKET_IFNAME: device },
  };
  const setting = { arch, size, batch, ranks, threads, store: path.join(folder, 'store') };
  const processes = network.hosts.map((_, rank) => {
    const script = [peerScript('overlap', 'ddp.py'), JSON.stringify({ ...setting, rank })];
    const [command, ...args] = [...insideOf(network, rank), python, ...script];
    return openLineProcess(command!, args, env);
  });
  const world = worldOf(processes);
  return {
    measure: world.measure,
    async close() {
      await world.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
