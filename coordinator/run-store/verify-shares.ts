import { divideStep, planStep, type StepPlan, samplesAt } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { StepLine } from './ledger.js';

/**
 * How the shares of a step in the ledger differ from the plan, in words; null where they do not.
 *
 * @param isFirst of its generation: survivors keep what they had computed of a step that was cut off, and divide the
 *   rest
 */
export function checkShares(line: StepLine, config: RunConfig, isFirst: boolean): string | null {
  const plan = planStep(config, line.step);
  if (line.epoch !== plan.epoch) return `step ${line.step} is of epoch ${plan.epoch}, not ${line.epoch}`;
  const sum = line.shares.reduce((total, share) => total + share.length, 0);
  const division = divideStep(plan, line.worldSize);
  const wrong = findDifference(
    line,
    division.map((share) => samplesAt(plan, share)),
  );
  if (wrong !== null && !(isFirst && isDivided(line, plan))) return wrong;
  return sum === line.samples ? null : `step ${line.step} counts ${line.samples} samples, but lists ${sum}`;
}

function findDifference({ step, shares }: StepLine, planned: readonly Uint32Array[]): string | null {
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

/** Whether the shares are whole micro-batches of the step, in order within each, and every one of them once. */
function isDivided({ shares }: StepLine, plan: StepPlan): boolean {
  const left = new Map(
    plan.microBatches.map((_, position) => {
      const ids = samplesAt(plan, [position]);
      return [ids[0]!, { position, ids }] as const;
    }),
  );
  for (const share of shares) {
    let last = -1;
    for (let at = 0; at < share.length; ) {
      const next = left.get(share[at]!);
      if (next === undefined || next.position < last) return false;
      if (next.ids.some((id, index) => share[at + index] !== id)) return false;
      left.delete(share[at]!);
      last = next.position;
      at += next.ids.length;
    }
  }
  return left.size === 0;
}
