import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLineProcess } from '../support/line-process.js';
import { device, insideOf, type Network } from '../support/network.js';
import { peerScript } from '../support/peer-script.js';
import { python } from '../support/python.js';
import { type Implementation, mergeRanks, rankFiguresSchema } from './implementation.js';

/** torch.distributed's gloo: one Python process per rank. Its wire is float32 always. */
export async function openGloo(
  worldSize: number,
  network: Pick<Network, 'hosts'> | null,
): Promise<Implementation> {
  const folder = await mkdtemp(join(tmpdir(), 'rondo-bench-gloo-'));
  const ranks = Array.from({ length: worldSize }, (_, rank) => {
    const script = [
      peerScript('all-reduce', 'gloo.py'),
      String(rank),
      String(worldSize),
      join(folder, 'store'),
    ];
    const [command, ...args] = [...insideOf(network, rank), python, ...script];
    const environment = network === null ? {} : { GLOO_SOCKET_IFNAME: device };
    return openLineProcess(command!, args, { ...process.env, ...environment });
  });
  return {
    name: 'gloo',
    async measure(task) {
      const figures = await Promise.all(ranks.map((rank) => rank.ask(rankFiguresSchema, task)));
      return mergeRanks(figures, task.rounds);
    },
    async close() {
      await Promise.all(ranks.map((rank) => rank.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
