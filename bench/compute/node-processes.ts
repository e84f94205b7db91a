import type { LineProcess } from '../support/line-process.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { precisionEnvironment, type Setting } from './implementation.js';

/** What a process is opened with: its setting, and how many of them compute. */
export interface Place extends Setting {
  readonly processes: number;
}

/**
 * Node processes that compute, each with a local worker's environment and `extra`: on the machine's first
 * GPU, or on none.
 */
export function openNodeProcesses(
  script: string,
  setting: Setting,
  count: number,
  extra: NodeJS.ProcessEnv = {},
): LineProcess[] {
  const { threads, device } = setting;
  const place: Place = { ...setting, processes: count };
  const gpus = device === 'gpu' ? ['0'] : [];
  const env = { ...process.env, ...precisionEnvironment(setting), ...extra };
  return Array.from({ length: count }, (_, index) =>
    openWorkerProcess(script, place, { index, threads, gpus }, { env }),
  );
}
