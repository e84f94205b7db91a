import { openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { python } from '../support/python.js';
import {
  createImplementation,
  type Implementation,
  precisionEnvironment,
  type Setting,
} from './implementation.js';

/** How PyTorch lays out images and weights: as it does by itself, or as it is fastest. */
export type MemoryFormat = 'contiguous' | 'channels_last';

/** PyTorch with fused AdamW: one Python process per worker. */
export function openTorch(setting: Setting, processes: number, memoryFormat: MemoryFormat): Implementation {
  const argument = JSON.stringify({ ...setting, memoryFormat });
  const args = [peerScript('compute', 'torch_process.py'), argument];
  // By default OpenMP's threads spin while they wait: where other programs compute too, most of the peer's
  // time is lost so.
  const own = { GOMP_SPINCOUNT: '1000', ...process.env, OMP_NUM_THREADS: String(setting.threads) };
  const env = { ...own, ...precisionEnvironment(setting) };
  const workers = Array.from({ length: processes }, () => openLineProcess(python, args, env));
  return createImplementation(
    memoryFormat === 'contiguous' ? 'torch' : 'torch, channels_last',
    workers,
    setting,
  );
}
