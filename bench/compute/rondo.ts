import { fileURLToPath } from 'node:url';
import { workerEnvironment } from '../../coordinator/cluster/worker-environment.js';
import { openLineProcess } from '../support/line-process.js';
import { type Contestant, createContestant, type Setting } from './contestant.js';
import { visibleGpus } from './devices.js';

/** Rondo's training program: one Node process per worker, started with a local worker's environment. */
export function openRondo(setting: Setting, processes: number): Contestant {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  const workers = Array.from({ length: processes }, (_, index) => {
    const env = workerEnvironment(process.env, {
      index,
      threads: setting.threads,
      gpus: visibleGpus(setting),
    });
    return openLineProcess(process.execPath, [script, JSON.stringify(setting)], env);
  });
  return createContestant('rondo', workers, setting);
}
