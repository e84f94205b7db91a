import { peerScript } from '../support/peer-script.js';
import { createImplementation, type Implementation, type Setting } from './implementation.js';
import { openNodeProcesses } from './node-processes.js';

/** tfjs-node's own layers API, on the same TensorFlow: one process per worker. */
export function openTfjs(setting: Setting, processes: number): Implementation {
  const script = peerScript('compute', 'tfjs-process.mjs');
  return createImplementation('tfjs layers', openNodeProcesses(script, setting, processes), setting);
}
