import { peerScript } from '../support/peer-script.js';
import { type Contestant, createContestant, type Setting } from './contestant.js';
import { openNodeProcesses } from './node-processes.js';

/** tfjs-node's own layers API, on the same TensorFlow: one process per worker. */
export function openTfjs(setting: Setting, processes: number): Contestant {
  const script = peerScript('compute', 'tfjs-process.mjs');
  return createContestant('tfjs layers', openNodeProcesses(script, setting, processes), setting);
}
