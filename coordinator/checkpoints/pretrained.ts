import { basename } from 'node:path';
import type { Arch } from '../../plan/run-config.js';
import type { CheckedWeights, CheckWeightsRequest } from '../../proto/jobs.js';
import { digestFile } from '../../runtime/file-digest.js';
import { refused } from '../options/option.js';
import type { TrainingOptions } from '../options/start-schema.js';
import type { RunEvent } from '../telemetry/run-events.js';

/** The path of torchvision's ImageNet weights, fetched once. */
export type FetchWeights = (
  arch: Arch,
  options: { signal: AbortSignal; onProgress(progress: { done: number; total: number }): void },
) => Promise<string>;

/** Throws, naming the file, when it holds no such network. */
export type CheckWeights = (
  request: CheckWeightsRequest,
  options: { readonly signal: AbortSignal },
) => Promise<CheckedWeights>;

interface FetchContext {
  readonly services: { readonly fetchWeights: FetchWeights; readonly checkWeights: CheckWeights };
  report(event: RunEvent): void;
  readonly signal: AbortSignal;
}

/** A file of weights that a run begins with, and its SHA-256. */
export interface StartingWeights {
  readonly path: string;
  readonly digest: string;
}

/** What --pretrained stands for. */
export interface PretrainedWeights extends StartingWeights {
  /** How many classes its head has; null without a head that the run would take. */
  readonly headClasses: number | null;
}

/**
 * The file that --pretrained stands for, fetched if it is not there yet, and read as workers will read it;
 * null for none. Throws what `fetchImagenetWeights` and reading it throw, and not-found that names the
 * option.
 */
export async function findPretrained(
  { pretrained, arch, head }: Pick<TrainingOptions, 'pretrained' | 'arch' | 'head'>,
  context: FetchContext,
): Promise<PretrainedWeights | null> {
  if (pretrained === null) return null;
  const { services, signal } = context;
  const path = pretrained === 'imagenet' ? await fetchWeights(arch, context) : pretrained;
  const digest = await digestFile(path, '--pretrained', signal);
  const checked = await services.checkWeights({ path, arch, head }, { signal });
  const text = describePlace(basename(path), checked);
  if (text !== null) context.report({ kind: 'note', text });
  return { path, digest, headClasses: checked.headClasses };
}

/** A head goes with its classes: throws invalid-argument when the data has another number of them. */
export function requireHeadFits(weights: PretrainedWeights | null, classes: number): void {
  const own = weights?.headClasses ?? null;
  if (weights === null || own === null || own === classes) return;
  throw refused(
    `the head in ${weights.path} has ${own} classes, but the data has ${classes}`,
    'give data with those classes, or a file without its head (the tensors that begin with "head.")',
  );
}

function describePlace(file: string, { tensors, place, copies }: CheckedWeights): string | null {
  if (place === '' && copies.length === 0) return null;
  const others = copies.map((copy) => `"${copy}"`).join(' and ');
  const also = copies.length === 0 ? '' : `; left out: as many under ${others}`;
  return `the weights are the ${tensors} tensors under "${place}" in ${file}${also}`;
}

function fetchWeights(arch: Arch, { services, report, signal }: FetchContext): Promise<string> {
  const subject = `${arch}'s weights`;
  return services.fetchWeights(arch, {
    signal,
    onProgress: (progress) =>
      report({ kind: 'dataset', phase: 'downloading', subject, unit: 'bytes', ...progress }),
  });
}
