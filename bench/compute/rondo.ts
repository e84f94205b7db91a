import { fileURLToPath } from 'node:url';
import { type Contestant, createContestant, type Setting } from './contestant.js';
import { openNodeProcesses } from './node-processes.js';

/** Rondo's training program: one process per worker. */
export function openRondo(setting: Setting, processes: number): Contestant {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  return createContestant('rondo', openNodeProcesses(script, setting, processes), setting);
}
