import { countPartitions } from '../../plan/epoch-order.js';
import { divideStep, planStep, type StepPlan, samplesAt } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { StepLine } from './ledger.js';

/**
 * How the shares of a step in the ledger differ from the plan, in words; null where they do not. Where each
 * micro-batch has a partition of the shards the plan leaves open which rank computes it.
 *
 * @param isFirst of its generation: survivors keep what they had computed of a step that was cut off, and divide the
 *   rest
 */
export function checkShares(line: StepLine, config: RunConfig, isFirst: boolean): string | null {
  const plan = planStep(config, line.step);
  if (line.epoch !== plan.epoch) return `step ${line.step} is of epoch ${plan.epoch}, not ${line.epoch}`;
  const sum = line.shares.reduce((total, share) => total + share.length, 0);
  const wrong = countPartitions(config) === null ? findDifference(line, plan) : findBroken(line, plan);
  if (wrong !== null && !(isFirst && findBroken(line, plan) === null)) return wrong;
  return sum === line.samples ? null : `step ${line.step} counts ${line.samples} samples, but lists ${sum}`;
}

/** From shares of neighbouring micro-batches, as even as can be. */
function findDifference({ step, shares, worldSize }: StepLine, plan: StepPlan): string | null {
  const planned = divideStep(plan, worldSize).map((share) => samplesAt(plan, share));
  for (const [rank, share] of shares.entries()) {
    const length = Math.max(planned[rank]!.length, share.length);
    for (let index = 0; index < length; index++) {
      if (planned[rank]![index] === share[index]) continue;
      const found = share[index] === undefined ? 'is missing' : `is sample ${share[index]}`;
      const wanted = planned[rank]![index] === undefined ? 'nothing' : `sample ${planned[rank]![index]}`;
      return `step ${step}, rank ${rank}: number ${index} of its share ${found}; the plan says ${wanted}`;
    }
  }
  return null;
}

/** What is not a whole micro-batch of the step, in order; or is one that is there twice, or not at all. */
function findBroken({ step, shares }: StepLine, plan: StepPlan): string | null {
  const left = new Map(
    plan.microBatches.map((_, position) => {
      const ids = samplesAt(plan, [position]);
      return [ids[0]!, { position, ids }] as const;
    }),
  );
  for (const [rank, share] of shares.entries()) {
    let last = -1;
    for (let at = 0; at < share.length; ) {
      const found = `step ${step}, rank ${rank}: number ${at} of its share is sample ${share[at]}`;
      const next = left.get(share[at]!);
      if (next === undefined) return `${found}, which begins no micro-batch that is left`;
      const { position, ids } = next;
      if (position < last) return `${found}, of micro-batch ${position}, after micro-batch ${last}`;
      const other = ids.findIndex((id, index) => share[at + index] !== id);
      if (other !== -1)
        return `${found}, of micro-batch ${position}, whose sample ${ids[other]} is not in its place`;
      left.delete(share[at]!);
      last = position;
      at += ids.length;
    }
  }
  const [missing] = [...left.values()];
  return missing === undefined ? null : `step ${step}: nobody computed micro-batch ${missing.position}`;
}
