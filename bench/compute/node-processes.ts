import { workerEnvironment, workerNodeArguments } from '../../coordinator/cluster/worker-environment.js';
import { type LineProcess, openLineProcess } from '../support/line-process.js';
import type { Setting } from './contestant.js';

/** What a process is opened with: its setting, and how many of them compute. */
export interface Place extends Setting {
  readonly processes: number;
}

/** Node processes that compute, each with a local worker's environment: on the machine's first GPU, or on none. */
export function openNodeProcesses(script: string, setting: Setting, count: number): LineProcess[] {
  const { threads, device } = setting;
  const place: Place = { ...setting, processes: count };
  return Array.from({ length: count }, (_, index) => {
    const gpus = device === 'gpu' ? ['0'] : [];
    const env = workerEnvironment(process.env, { index, threads, gpus });
    return openLineProcess(process.execPath, [...workerNodeArguments, script, JSON.stringify(place)], env);
  });
}
