import type { MemberStatus } from '../../proto/run-status.js';

type Measured = Pick<MemberStatus, 'cpuQuota' | 'step'>;
type Slow = NonNullable<MemberStatus['slow']>;

/** A worker is slow that takes so many times the time per sample of the usual other one. */
const slowTimes = 1.25;
/** It is kept from computing when it gets less than this share of the cores that others get. */
const fullShare = 0.8;
/** Its images are late when it waits for them for more than this share of its own time. */
const lateShare = 0.25;

/**
 * Who keeps the others waiting, and why; null for who does not. Time that a worker spends waiting for others is
 * not its own, and how many samples it computes is the plan's doing: own time per sample is compared.
 *
 * @param members of one generation; answers are in their order.
 */
export function findSlow(members: readonly Measured[]): (Slow | null)[] {
  return members.map((member, index) => {
    const others = members.flatMap(({ step }, other) => (other === index || step === null ? [] : [step]));
    const { step } = member;
    if (step === null || step.samples === 0) return null;
    const computing = others.filter(({ samples }) => samples > 0);
    if (computing.length === 0) return null;
    const usual = median(computing.map(({ own, samples }) => own / samples));
    const times = step.own / step.samples / usual;
    if (!(times >= slowTimes)) return null;
    return { times, reason: explain(member, step, median(computing.map(({ cores }) => cores))) };
  });
}

function explain(
  { cpuQuota }: Measured,
  { own, data, cores }: NonNullable<Measured['step']>,
  usualCores: number,
): string {
  const isStarved = cores < fullShare * usualCores;
  const reasons: string[] = [];
  if (isStarved) {
    const share = `while it computed it had ${percent(cores / usualCores)} of the processor time that others had`;
    const why =
      cpuQuota !== null && cpuQuota < fullShare * usualCores + 1
        ? `its CPU quota is ${cpuQuota.toFixed(2)} cores`
        : 'other processes use its cores, or it was stopped';
    reasons.push(`${share}: ${why}`);
  }
  if (data > lateShare * own) {
    reasons.push(
      `it waits for its images for ${percent(data / own)} of its time: look at its disk or network`,
    );
  }
  if (reasons.length > 0) return reasons.join('; ');
  return 'it computes for longer at the same work: look at its processor or device, its clock and temperature';
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
