import { describe, expect, it } from 'vitest';
import { type LedgerLine, type StepLine, settleLedger } from '../../../coordinator/run-store/ledger.js';
import { verifyLedger } from '../../../coordinator/run-store/verify-ledger.js';
import { divideStep, planStep, samplesAt } from '../../../plan/phases.js';
import { placePartitions } from '../../../plan/placement.js';
import { stepLine, tinyConfig, wholeLedger } from '../../support/tiny-run.js';

const config = tinyConfig();
const complete = { complete: true };

async function difference(lines: LedgerLine[], o = complete): Promise<string> {
  const verdict = await verifyLedger(config, () => lines, o);
  if (verdict.ok) throw new Error('the ledger was accepted');
  return verdict.difference;
}

/** The whole ledger with one step changed. */
function changed(step: number, change: (line: StepLine) => Partial<StepLine>): LedgerLine[] {
  return wholeLedger(config).map((line) =>
    line.kind === 'step' && line.step === step ? { ...line, ...change(line) } : line,
  );
}

describe('what is right', () => {
  it.each([1, 2, 3, 4])('proves a whole run on %i workers', async (worldSize) => {
    expect(await verifyLedger(config, () => wholeLedger(config, worldSize), complete)).toEqual({
      ok: true,
      epochs: 3,
      steps: 9,
      samples: 66,
      rollbacks: 0,
      worldSizes: [worldSize],
      ranges: [{ first: 0, last: 8, generation: 1, worldSize, attempt: 1 }],
      skipped: 0,
    });
  });

  it('proves what there is of a stopped run', async () => {
    const verdict = await verifyLedger(config, () => wholeLedger(config).slice(0, 4), { complete: false });
    expect(verdict).toMatchObject({ ok: true, epochs: 1, steps: 4 });
  });

  it('honours a rollback, after which the world may have another size', async () => {
    const lines: LedgerLine[] = [
      ...wholeLedger(config, 2).slice(0, 5),
      { kind: 'rollback', toStep: 3 },
      ...Array.from({ length: 6 }, (_, index) => stepLine(config, 3 + index, 3)),
    ];
    const verdict = await verifyLedger(config, () => lines, complete);
    expect(verdict).toMatchObject({ ok: true, epochs: 3, steps: 9, rollbacks: 1, worldSizes: [2, 3] });
    const { steps, recoveries } = await settleLedger(lines);
    expect([steps.map(({ step }) => step), recoveries]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8], 1]);
  });
});

it('says who took which steps, and which were begun again', async () => {
  const lines = wholeLedger(config, 2).map((line, step) => {
    if (line.kind !== 'step' || step < 4) return line;
    return { ...stepLine(config, step, step < 7 ? 1 : 3, step < 7 ? 2 : 4), attempt: step === 4 ? 2 : 1 };
  });
  // The rollback is one, and that another generation goes on after it is the same one.
  const resumed: LedgerLine[] = [{ kind: 'rollback', toStep: 8 }, stepLine(config, 8, 1, 5)];
  expect(await settleLedger(lines)).toMatchObject({ recoveries: 2 });
  expect(await settleLedger([...lines, ...resumed])).toMatchObject({ recoveries: 3 });
  expect(await verifyLedger(config, () => lines, complete)).toMatchObject({
    ok: true,
    ranges: [
      { first: 0, last: 3, generation: 1, worldSize: 2, attempt: 1 },
      { first: 4, last: 4, generation: 2, worldSize: 1, attempt: 2 },
      { first: 5, last: 6, generation: 2, worldSize: 1, attempt: 1 },
      { first: 7, last: 8, generation: 4, worldSize: 3, attempt: 1 },
    ],
  });
});

describe('a phase that ended early', () => {
  const [frozen, unfrozen] = [{ epochs: 3, trainable: 'frozen' } as const, { epochs: 2 }];
  const phases = [frozen, unfrozen].map((changes, index) => ({
    ...config.phases[0]!,
    name: `phase ${index}`,
    ...changes,
  }));
  const long = tinyConfig({ phases }); // 15 steps, 3 an epoch
  const stepsOf = (start: number, end: number) =>
    Array.from({ length: end - start }, (_, index) => stepLine(long, start + index));
  const jump = (epoch: number, toStep: number): LedgerLine => ({ kind: 'early-stop', epoch, toStep });

  it('is passed over, and each whole epoch is proven', async () => {
    const lines = [...stepsOf(0, 6), jump(1, 9), ...stepsOf(9, 12), jump(3, 15)];
    const verdict = await verifyLedger(long, () => lines, complete);
    expect(verdict).toMatchObject({ ok: true, epochs: 3, steps: 9 });
    expect(await settleLedger(lines)).toMatchObject({ earlyStops: [9, 15] });
    const back: LedgerLine = { kind: 'rollback', toStep: 6 };
    expect(await settleLedger([...lines, back])).toMatchObject({ earlyStops: [] });
    const again = [...lines, back, jump(1, 9), ...stepsOf(9, 15)];
    expect(await verifyLedger(long, () => again, complete)).toMatchObject({ ok: true, epochs: 4, steps: 12 });
  });

  it.each<[string, LedgerLine[], RegExp]>([
    ['inside an epoch', [...stepsOf(0, 5), jump(1, 9), ...stepsOf(9, 15)], /but step 4 was the last one/],
    [
      'to elsewhere than the next phase',
      [...stepsOf(0, 6), jump(1, 12)],
      /the next phase begins with step 9/,
    ],
    ['after its last epoch', [...stepsOf(0, 9), jump(2, 9)], /goes on with step 9/],
    ['without a word', [...stepsOf(0, 6), ...stepsOf(9, 15)], /step 6 is missing/],
    ['and the run with it, too soon', [...stepsOf(0, 6), jump(1, 9)], /ends after 6 of 15 steps/],
  ])('is refused %s', async (_, lines, difference) => {
    expect(await verifyLedger(long, () => lines, complete)).toMatchObject({
      ok: false,
      difference: expect.stringMatching(difference),
    });
  });
});

it('takes micro-batches for those of the plan that other ranks computed, where a generation begins', async () => {
  const lines = wholeLedger(config).map((line): LedgerLine => {
    if (line.kind !== 'step' || line.step < 2) return line;
    const after = { ...line, generation: 2 };
    return line.step === 2 ? { ...after, shares: line.shares.toReversed() } : after;
  });
  expect((await verifyLedger(config, () => lines, complete)).ok).toBe(true);
});

describe('a run by windows of shards, whose micro-batches have partitions', () => {
  const windows = tinyConfig({
    order: { kind: 'windows', version: 2, shards: 2, counts: [6, 6, 6, 4] },
  });
  const parted = (hosts: readonly string[]): StepLine[] =>
    Array.from({ length: 9 }, (_, step) => {
      const plan = planStep(windows, step);
      const division = divideStep(plan, hosts.length, placePartitions(windows, hosts));
      const shares = division.map((share) => [...samplesAt(plan, share)]);
      return { ...stepLine(windows, step, hosts.length), shares };
    });

  it.each([1, 2, 3, 4])(
    'is proven on %i machines, as one in whose steps neighbours were together',
    async (world) => {
      const hosts = Array.from({ length: world }, (_, rank) => `worker-${rank}`);
      for (const lines of [parted(hosts), wholeLedger(windows, world)]) {
        expect(await verifyLedger(windows, () => lines, complete)).toMatchObject({ ok: true, samples: 66 });
      }
    },
  );

  it.each<[string, (line: StepLine) => number[][], string]>([
    [
      'half a micro-batch with another rank',
      ({ shares: [one, two] }) => [one!.slice(0, -1), [one!.at(-1)!, ...two!]],
      'step 4, rank 0: number 0 of its share is sample 5, of micro-batch 1, whose sample 2 is not in its place',
    ],
    [
      'samples of a micro-batch in another order',
      ({ shares: [one, two] }) => [one!.toReversed(), two!],
      'which begins no micro-batch that is left',
    ],
    ['a micro-batch twice', ({ shares: [one] }) => [one!, one!], 'which begins no micro-batch that is left'],
    ['one that nobody computed', ({ shares: [one] }) => [one!, []], 'step 4: nobody computed micro-batch'],
    [
      'micro-batches in another order',
      ({ shares: [one, two] }) => [[...one!, ...two!], []],
      'after micro-batch 1',
    ],
  ])('is refused with %s', async (_, change, expected) => {
    const lines = parted(['worker-0', 'worker-1']).map((line) =>
      line.step === 4 ? { ...line, shares: change(line) } : line,
    );
    expect(await verifyLedger(windows, () => lines, complete)).toMatchObject({
      ...{ ok: false, line: 5 },
      difference: expect.stringContaining(expected),
    });
  });
});

describe('what is wrong, at its first place', () => {
  it.each<[string, LedgerLine[], string]>([
    ['a missing step', wholeLedger(config).toSpliced(4, 1), 'step 4 is missing: step 5 stands in its place'],
    [
      'a repeated step',
      wholeLedger(config).toSpliced(4, 0, stepLine(config, 3)),
      'step 3 is committed again',
    ],
    [
      'steps in another order',
      wholeLedger(config).with(1, stepLine(config, 2)).with(2, stepLine(config, 1)),
      'step 1 is missing',
    ],
    ['a run cut short', wholeLedger(config).slice(0, 8), 'ends after 8 of 9 steps'],
    [
      'a missing sample',
      changed(2, ({ shares }) => ({ shares: [shares[0]!.slice(0, -1), shares[1]!] })),
      'step 2, rank 0: number 3 of its share is missing',
    ],
    [
      'a duplicated sample',
      changed(1, ({ shares }) => ({ shares: [shares[0]!.with(1, shares[0]![0]!), shares[1]!] })),
      'step 1, rank 0: number 1 of its share is sample',
    ],
    [
      'an additional sample',
      changed(1, ({ shares }) => ({ shares: [shares[0]!, [...shares[1]!, 3]] })),
      'step 1, rank 1: number 4 of its share is sample 3; the plan says nothing',
    ],
    [
      'samples in another order',
      changed(1, ({ shares }) => ({ shares: [shares[0]!.toReversed(), shares[1]!] })),
      'step 1, rank 0: number 0',
    ],
    ['shares swapped between ranks', changed(1, ({ shares }) => ({ shares: shares.toReversed() })), 'rank 0'],
    [
      'half a micro-batch with another rank, in the first step of a generation',
      changed(0, ({ shares }) => ({
        shares: [shares[0]!.slice(0, -1), [shares[0]!.at(-1)!, ...shares[1]!]],
      })),
      'step 0, rank 0',
    ],
    ['a share too few', changed(0, ({ shares }) => ({ shares: shares.slice(1) })), '1 of 2 shares'],
    ['a world that grows within a generation', wholeLedger(config).with(1, stepLine(config, 1, 3)), 'had 2'],
    [
      'a generation of before',
      [stepLine(config, 0, 2, 2), stepLine(config, 1, 2, 1)],
      'step 1 is of generation 1, after generation 2',
    ],
    ['another epoch', changed(3, () => ({ epoch: 0 })), 'step 3 is of epoch 1, not 0'],
    ['a wrong count', changed(3, () => ({ samples: 7 })), 'step 3 counts 7 samples, but lists 8'],
    [
      'a rollback to the future',
      [stepLine(config, 0), { kind: 'rollback', toStep: 2 }],
      'a rollback to step 2, but only 1 steps were taken',
    ],
  ])('%s', async (_, lines, expected) => {
    expect(await difference(lines)).toContain(expected);
  });

  it('names the line', async () => {
    expect(await verifyLedger(config, () => wholeLedger(config).toSpliced(4, 1), complete)).toMatchObject({
      line: 5,
    });
  });

  it('refuses an epoch that is closed too early', async () => {
    const closing: LedgerLine = {
      kind: 'epoch',
      epoch: 0,
      step: 2,
      train_loss: 1,
      valid_loss: 1,
      error_rate: 0.5,
      balanced_error: 0.5,
      macro_f1: 0.5,
      top5_error: 0,
      seconds: 1,
      imagesPerSecond: 1,
      parameterDigest: 'p',
    };
    expect(await difference(wholeLedger(config).toSpliced(2, 0, closing))).toContain(
      'epoch 0 is closed after step 1',
    );
  });
});
