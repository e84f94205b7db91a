import type { Arch } from '../../plan/run-config.js';
import { digestFile } from '../../runtime/file-digest.js';
import type { TrainingOptions } from '../options/training-options.js';
import type { RunEvent } from '../telemetry/run-events.js';

/** The path of torchvision's ImageNet weights, fetched once. */
export type FetchWeights = (
  arch: Arch,
  options: { signal: AbortSignal; onProgress(progress: { done: number; total: number }): void },
) => Promise<string>;

interface FetchContext {
  readonly services: { readonly fetchWeights: FetchWeights };
  report(event: RunEvent): void;
  readonly signal: AbortSignal;
}

/** A file of weights that a run begins with, and its SHA-256. */
export interface StartingWeights {
  readonly path: string;
  readonly digest: string;
}

/**
 * The file that --pretrained stands for, fetched if it is not there yet; null for none. Throws what `fetchImagenetWeights` throws,
 * and not-found that names the option.
 */
export async function findPretrained(
  { pretrained, arch }: Pick<TrainingOptions, 'pretrained' | 'arch'>,
  context: FetchContext,
): Promise<StartingWeights | null> {
  if (pretrained === null) return null;
  const path = pretrained === 'imagenet' ? await fetchWeights(arch, context) : pretrained;
  return { path, digest: await digestFile(path, '--pretrained', context.signal) };
}

function fetchWeights(arch: Arch, { services, report, signal }: FetchContext): Promise<string> {
  const subject = `${arch}'s weights`;
  return services.fetchWeights(arch, {
    signal,
    onProgress: (progress) =>
      report({ kind: 'dataset', phase: 'downloading', subject, unit: 'bytes', ...progress }),
  });
}
