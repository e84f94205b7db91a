import type { WorkerLine } from './ledger.js';

/** What a worker computes with. */
export type Kernels = WorkerLine['kernels'];

/** As in `oneDNN (AVX2) on AMD EPYC 7763, 1 thread, TensorFlow 2.21.0`. */
export function formatKernels(kernels: Kernels): string {
  const { gpu, oneDnn, instructionSet, processor, threads, tensorflow } = kernels;
  const version = `TensorFlow ${tensorflow}`;
  if (gpu) return `${processor}, ${version}`;
  const library = oneDnn === null ? 'unknown kernels' : oneDnn ? `oneDNN (${instructionSet})` : 'Eigen';
  return `${library} on ${processor}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${version}`;
}

/** In words, each once, in the order in which they came. */
export function distinctKernels(workers: readonly Pick<WorkerLine, 'kernels'>[]): string[] {
  return [...new Set(workers.map(({ kernels }) => formatKernels(kernels)))];
}
