import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { nextPhaseStep, totalSteps } from '../../plan/phases.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { LedgerLine, StepLine } from './ledger.js';
import { checkShares } from './verify-shares.js';

/** Steps in a row that the same generation took, at the same attempt. */
export interface StepRange {
  readonly first: number;
  readonly last: number;
  readonly generation: number;
  readonly worldSize: number;
  /** How often each was begun: more than once where it was cut off. */
  readonly attempt: number;
}

export type Verdict =
  | {
      readonly ok: true;
      /** Whole epochs proven, and steps that count. */
      readonly epochs: number;
      readonly steps: number;
      /** Samples used, over all steps that count. */
      readonly samples: number;
      readonly rollbacks: number;
      readonly worldSizes: readonly number[];
      /** All steps that count, in order. */
      readonly ranges: readonly StepRange[];
      /** Steps that were committed without an update, because the loss or a gradient was not finite. */
      readonly skipped: number;
    }
  | {
      readonly ok: false /** 1-based, in ledger.jsonl; null when nothing in it is wrong but the end is missing. */;
      readonly line: number | null;
      readonly difference: string;
    };

/**
 * Expands the plan of `config` beside a ledger: every step in its order, every rank's share as planned, world
 * sizes constant within a generation; and counts by itself that each whole epoch uses each sample exactly
 * once.
 *
 * @param read begins with the first line at each call. A ledger is read twice: its end decides which of its
 * steps count, and all of it may be more than the memory holds.
 */
export async function verifyLedger(
  config: RunConfig,
  read: () => AsyncIterable<LedgerLine> | Iterable<LedgerLine>,
  { complete }: { readonly complete: boolean },
): Promise<Verdict> {
  const perEpoch = stepsPerEpoch(config);
  const steps = totalSteps(config);
  /** By step: the line that counts. Steps that an early stop passed over have none. */
  const lineOf: number[] = [];
  let membership: StepLine | null = null;
  let count = 0;
  let rollbacks = 0;
  let next = 0;
  for await (const line of read()) {
    count += 1;
    const difference = checkLine(line, { config, next, steps, perEpoch, membership });
    if (difference !== null) return { ok: false, line: count, difference };
    if (line.kind === 'step') {
      lineOf[line.step] = count;
      next = line.step + 1;
      membership = line;
    }
    if (line.kind === 'rollback') {
      lineOf.length = line.toStep;
      next = line.toStep;
      membership = null;
      rollbacks += 1;
    }
    if (line.kind === 'early-stop') next = line.toStep;
  }
  if (complete && next < steps) {
    const taken = Object.keys(lineOf).length;
    const difference = `the run says that it is complete, but ends after ${taken} of ${steps} steps`;
    return { ok: false, line: null, difference };
  }
  const counted = await countSteps(config, read, lineOf);
  if (counted.difference !== null) return { ok: false, line: null, difference: counted.difference };
  const { difference: _, worldSizes, ...figures } = counted;
  return { ok: true, ...figures, rollbacks, worldSizes: [...worldSizes] };
}

/** Counts without the plan, over the lines that count: a mistake in the plan would show here. */
async function countSteps(
  config: RunConfig,
  read: () => AsyncIterable<LedgerLine> | Iterable<LedgerLine>,
  lineOf: readonly number[],
) {
  const perEpoch = stepsPerEpoch(config);
  const counted = {
    difference: null as string | null,
    epochs: 0,
    steps: 0,
    samples: 0,
    worldSizes: new Set<number>(),
    skipped: 0,
    ranges: [] as StepRange[],
  };
  const uses = new Uint32Array(config.trainCount);
  let count = 0;
  for await (const line of read()) {
    count += 1;
    if (line.kind !== 'step' || lineOf[line.step] !== count) continue;
    counted.steps += 1;
    counted.samples += line.samples;
    counted.worldSizes.add(line.worldSize);
    if (line.skipped) counted.skipped += 1;
    addStep(counted.ranges, line);
    const epoch = Math.floor(line.step / perEpoch);
    const closes = (line.step + 1) % perEpoch === 0;
    if (closes) counted.epochs += 1;
    counted.difference = countUses(uses, line) ?? (closes ? checkUses(uses) : null);
    if (counted.difference !== null) {
      return { ...counted, difference: `epoch ${epoch}: ${counted.difference}` };
    }
  }
  return counted;
}

function addStep(ranges: StepRange[], { step, generation, worldSize, attempt }: StepLine): void {
  const last = ranges.at(-1);
  const isNext = last?.last === step - 1 && last.generation === generation && last.worldSize === worldSize;
  if (isNext && last.attempt === attempt) ranges[ranges.length - 1] = { ...last, last: step };
  else ranges.push({ first: step, last: step, generation, worldSize, attempt });
}

interface Expectation {
  readonly config: RunConfig;
  readonly next: number;
  readonly steps: number;
  readonly perEpoch: number;
  /** The step before since the run was last started or resumed: its generation and world size still apply. */
  readonly membership: StepLine | null;
}

function checkLine(line: LedgerLine, expected: Expectation): string | null {
  const { next, perEpoch } = expected;
  if (line.kind === 'worker') return null;
  if (line.kind === 'rollback') {
    return line.toStep <= next
      ? null
      : `a rollback to step ${line.toStep}, but only ${next} steps were taken`;
  }
  if (line.kind === 'early-stop') return checkEarlyStop(line, expected);
  if (line.kind === 'epoch') {
    const end = (line.epoch + 1) * perEpoch;
    return line.step === end && end === next
      ? null
      : `epoch ${line.epoch} is closed after step ${next - 1}; its last step is ${end - 1}`;
  }
  const { membership, config } = expected;
  return (
    checkOrder(line, expected) ??
    checkMembership(line, membership) ??
    checkShares(line, config, membership?.generation !== line.generation)
  );
}

/** A phase may only end with a whole epoch, and the run then goes on with the next phase. */
function checkEarlyStop(
  { epoch, toStep }: Extract<LedgerLine, { kind: 'early-stop' }>,
  { config, next, perEpoch }: Expectation,
): string | null {
  const end = (epoch + 1) * perEpoch;
  if (end !== next) return `a phase ends early with step ${end - 1}, but step ${next - 1} was the last one`;
  const planned = nextPhaseStep(config, epoch);
  if (toStep === planned && toStep > next) return null;
  return `after epoch ${epoch} the run goes on with step ${toStep}; the next phase begins with step ${planned}`;
}

function checkOrder({ step }: StepLine, { next, steps }: Expectation): string | null {
  if (step < next) return `step ${step} is committed again, without a rollback`;
  if (step > next) return `step ${next} is missing: step ${step} stands in its place`;
  return step < steps ? null : `step ${step} is beyond the run's ${steps} steps`;
}

function checkMembership(line: StepLine, before: StepLine | null): string | null {
  const { step, generation, worldSize, shares } = line;
  if (shares.length !== worldSize) return `step ${step} has ${shares.length} of ${worldSize} shares`;
  if (before === null) return null;
  if (generation < before.generation) {
    return `step ${step} is of generation ${generation}, after generation ${before.generation}`;
  }
  if (generation === before.generation && worldSize !== before.worldSize) {
    return `step ${step}: the world of generation ${generation} has ${worldSize} workers, had ${before.worldSize}`;
  }
  return null;
}

function countUses(uses: Uint32Array, { shares }: StepLine): string | null {
  for (const share of shares) {
    for (const id of share) {
      if (id >= uses.length) return `sample ${id} does not exist; there are ${uses.length}`;
      uses[id]! += 1;
    }
  }
  return null;
}

/** At an epoch's end, from which the next one begins to count. */
function checkUses(uses: Uint32Array): string | null {
  const wrong = uses.findIndex((use) => use !== 1);
  const difference = wrong === -1 ? null : `sample ${wrong} was used ${uses[wrong]} times`;
  uses.fill(0);
  return difference;
}
