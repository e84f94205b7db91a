import { workerEnvironment } from '../../coordinator/cluster/worker-environment.js';
import { openLineProcess } from '../support/line-process.js';
import { peerScript } from '../support/peer-script.js';
import { type Contestant, createContestant, type Setting } from './contestant.js';
import { visibleGpus } from './devices.js';

/** tfjs-node's own layers API, on the same TensorFlow: one Node process per worker, with a local worker's environment. */
export function openTfjs(setting: Setting, processes: number): Contestant {
  const args = [peerScript('compute', 'tfjs-process.mjs'), JSON.stringify(setting)];
  const workers = Array.from({ length: processes }, (_, index) => {
    const env = workerEnvironment(process.env, {
      index,
      threads: setting.threads,
      gpus: visibleGpus(setting),
    });
    return openLineProcess(process.execPath, args, env);
  });
  return createContestant('tfjs layers', workers, setting);
}
