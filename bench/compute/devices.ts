import type { Setting } from './contestant.js';

/** Values for CUDA_VISIBLE_DEVICES: the machine's first GPU, or none. */
export function visibleGpus({ device }: Pick<Setting, 'device'>): string[] {
  return device === 'gpu' ? ['0'] : [];
}
