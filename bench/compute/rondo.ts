import { fileURLToPath } from 'node:url';
import { type Contestant, createContestant, type Setting } from './contestant.js';
import { openNodeProcesses } from './node-processes.js';

/** Rondo's training program: one process per worker, with `extra` in its environment. */
export function openRondo(
  setting: Setting,
  processes: number,
  { name = 'rondo', extra }: { name?: string; extra?: NodeJS.ProcessEnv } = {},
): Contestant {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  return createContestant(name, openNodeProcesses(script, setting, processes, extra), setting);
}
