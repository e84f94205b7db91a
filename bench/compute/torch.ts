import { openLineProcess } from '../support/line-process.js';
import { python, pythonScript } from '../support/python.js';
import { type Contestant, createContestant, type Setting } from './contestant.js';

/** PyTorch, channels_last, with AdamW: one Python process per worker. */
export function openTorch(setting: Setting, processes: number): Contestant {
  const args = [pythonScript('step', 'torch_step.py'), JSON.stringify(setting)];
  // By default OpenMP's threads spin while they wait: where other programs compute too, most of the peer's time is lost so.
  const env = { GOMP_SPINCOUNT: '1000', ...process.env, OMP_NUM_THREADS: String(setting.threads) };
  const workers = Array.from({ length: processes }, () => openLineProcess(python, args, env));
  return createContestant('torch', workers, setting);
}
