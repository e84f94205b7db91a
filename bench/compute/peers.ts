import type { Implementation, Setting } from './implementation.js';
import { openTfjs } from './tfjs.js';
import { openTorch } from './torch.js';

/**
 * All peers in one setting: PyTorch in both layouts where its modules are; and tfjs-node's layers, which know
 * float32 only, on a CPU where one process computes: four of them exhaust 24 GiB at 224 px.
 */
export function openPeers(setting: Setting, processes: number, withTorch: boolean): Implementation[] {
  const torch = withTorch
    ? [openTorch(setting, processes, 'channels_last'), openTorch(setting, processes, 'contiguous')]
    : [];
  const withTfjs = setting.precision === 'float32' && setting.device === 'cpu' && processes === 1;
  return withTfjs ? [...torch, openTfjs(setting, processes)] : torch;
}
