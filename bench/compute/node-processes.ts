import type { z } from 'zod';
import type { LineProcess } from '../support/line-process.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { precisionEnvironment, type Setting, settingSchema } from './implementation.js';

export const placeSchema = settingSchema.extend({ processes: settingSchema.shape.threads });

/** What a process is opened with: its setting, and how many of them compute. */
export type Place = Readonly<z.infer<typeof placeSchema>>;

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
