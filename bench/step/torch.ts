import { openLineProcess } from '../support/line-process.js';
import { python, pythonScript } from '../support/python.js';
import { type Contestant, createContestant, type Setting } from './contestant.js';

/** PyTorch, channels_last, with AdamW: one Python process per worker. */
export function openTorch(setting: Setting, processes: number): Contestant {
  const args = [pythonScript('step', 'torch_step.py'), JSON.stringify(setting)];
  const env = { ...process.env, OMP_NUM_THREADS: String(setting.threads) };
  const workers = Array.from({ length: processes }, () => openLineProcess(python, args, env));
  return createContestant('torch', workers, setting);
}
