import { workerEnvironment } from '../../coordinator/cluster/worker-environment.js';
import { type LineProcess, openLineProcess } from '../support/line-process.js';
import type { Setting } from './contestant.js';

/** Node processes that compute, each with a local worker's environment: on the machine's first GPU, or on none. */
export function openNodeProcesses(script: string, setting: Setting, count: number): LineProcess[] {
  const { threads, device } = setting;
  return Array.from({ length: count }, (_, index) => {
    const gpus = device === 'gpu' ? ['0'] : [];
    const env = workerEnvironment(process.env, { index, threads, gpus });
    return openLineProcess(process.execPath, [script, JSON.stringify(setting)], env);
  });
}
