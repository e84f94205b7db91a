import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { python } from '../support/python.js';
import { madeSchema, type Setting, type Speeds, speedsOf } from './speeds.js';

/** PyTorch's DistributedDataParallel over gloo: a Python process for each worker, as torchrun starts them. */
export async function runDdp(setting: Setting): Promise<Speeds> {
  const folder = await mkdtemp(path.join(tmpdir(), 'rondo-bench-ddp-'));
  const env = { GOMP_SPINCOUNT: '1000', ...process.env, OMP_NUM_THREADS: String(setting.threads) };
  const ranks = Array.from({ length: setting.workers }, (_, rank) => {
    const argument = JSON.stringify({ ...setting, rank, store: path.join(folder, 'store') });
    return openLineProcess(python, [peerScript('scaling', 'ddp.py'), argument], env);
  });
  try {
    const [made] = await Promise.all(ranks.map((rank) => rank.ask(madeSchema.array(), { epochs: 2 })));
    return speedsOf(made!);
  } finally {
    await Promise.all(ranks.map((rank) => rank.close()));
    await rm(folder, { recursive: true, force: true });
  }
}
