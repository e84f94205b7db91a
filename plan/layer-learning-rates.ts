import { layerGroupCount } from './run-config.js';

/**
 * One number: the same for every group. `{min, max}`: fastai's slice(min, max). `{max}`: fastai's slice(max).
 */
export type LearningRateSpec = number | { readonly min?: number; readonly max: number };

/**
 * Peak learning rates of the layer groups, early to late (fastai v1, `Learner.lr_range`): `{min, max}` is
 * geometric from min to max; `{max}` is max/10 for all but the last group.
 */
export function layerLearningRates(spec: LearningRateSpec, groups: number = layerGroupCount): number[] {
  if (typeof spec === 'number') return Array.from({ length: groups }, () => spec);
  const { min, max } = spec;
  const last = groups - 1;
  if (min === undefined) return Array.from({ length: groups }, (_, group) => (group < last ? max / 10 : max));
  return Array.from({ length: groups }, (_, group) =>
    group === last ? max : min * (max / min) ** (group / last),
  );
}
