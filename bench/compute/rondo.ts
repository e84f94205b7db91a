import { fileURLToPath } from 'node:url';
import { createImplementation, type Implementation, type Setting } from './implementation.js';
import { openNodeProcesses } from './node-processes.js';

/** Rondo's training program: one process per worker, with `extra` in its environment. */
export function openRondo(
  setting: Setting,
  processes: number,
  { name = 'rondo', extra }: { name?: string; extra?: NodeJS.ProcessEnv } = {},
): Implementation {
  const script = fileURLToPath(new URL('rondo-process.js', import.meta.url));
  return createImplementation(name, openNodeProcesses(script, setting, processes, extra), setting);
}
