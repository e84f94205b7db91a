import { expect, test } from 'vitest';
import { compare, type Measured, type MeasuredFigures } from '../../../bench/parity/compare.js';
import { agreeing, parityReference } from '../../support/parity-files.js';

const reference = parityReference('resnet18');
const exact = agreeing(reference);

function missed(measured: Measured): string[] {
  return compare(reference, measured)
    .filter(({ met }) => !met)
    .map(({ kind, where }) => `${kind} @ ${where}`);
}

/** `measured`'s figures of one tensor, changed. */
function changed(
  figures: ReadonlyMap<string, MeasuredFigures>,
  name: string,
  change: (figures: MeasuredFigures) => Partial<MeasuredFigures>,
): Map<string, MeasuredFigures> {
  const found = figures.get(name)!;
  return new Map(figures).set(name, { ...found, ...change(found) });
}

function changedLogit(change: (logit: number) => number): number[][] {
  return exact.evalLogits.map((row, image) => row.map((v, c) => (image === 3 && c === 5 ? change(v) : v)));
}

function changedStep(change: (step: Measured['trace'][number]) => Partial<Measured['trace'][number]>) {
  return exact.trace.map((step, k) => (k === 4 ? { ...step, ...change(step) } : step));
}

/** Moves the first element by `share` of the tensor's root mean square. */
function nudge(share: number) {
  return ({ norm, count, first }: MeasuredFigures) => ({
    first: first.map((v, i) => (i === 0 ? v + (share * norm) / Math.sqrt(count) : v)),
  });
}

const largestLogit = Math.max(...reference.eval_logits.flat().map(Math.abs));
const scaleNorm = (factor: number) => (f: MeasuredFigures) => ({ norm: f.norm * factor });

test('the reference agrees with itself', () => {
  const deviations = compare(reference, exact);
  expect(deviations.length).toBeGreaterThanOrEqual(11);
  for (const { worst, met } of deviations) expect([worst, met]).toEqual([0, true]);
});

// Each just within the bound, then just beyond it.
test.each<[string, (share: number) => Partial<Measured>]>([
  [
    'evaluation logits / largest @ image 3, class 5',
    (s) => ({ evalLogits: changedLogit((v) => v + s * 1e-4 * largestLogit) }),
  ],
  ['training loss, relative @ ', (s) => ({ trainLoss: exact.trainLoss * (1 - s * 1e-5) })],
  [
    'gradient norm, relative @ layer2.0.conv1.weight',
    (s) => ({ gradients: changed(exact.gradients, 'layer2.0.conv1.weight', scaleNorm(1 + s * 2e-3)) }),
  ],
  [
    'gradient elements / RMS @ bn1.bias',
    (s) => ({ gradients: changed(exact.gradients, 'bn1.bias', nudge(s * 2e-3)) }),
  ],
  ['float32 gradient from float64 @ ', (s) => ({ gradientDistance: s * 5e-2 })],
  [
    'running statistics, relative @ bn1.running_var',
    (s) => ({ statistics: changed(exact.statistics, 'bn1.running_var', scaleNorm(1 - s * 1e-4)) }),
  ],
  [
    'running statistics, relative @ head.2.running_mean',
    (s) => ({ statistics: changed(exact.statistics, 'head.2.running_mean', nudge(s * 1e-4)) }),
  ],
  [
    'trace losses, relative @ step 4',
    (s) => ({ trace: changedStep((t) => ({ loss: t.loss * (1 + s * 1e-3) })) }),
  ],
  [
    'float32 trace losses from float64 @ step 4',
    (s) => ({
      float32Losses: exact.float32Losses.map((loss, k) => (k === 4 ? loss * (1 - s * 5e-2) : loss)),
    }),
  ],
  [
    'learning rates, relative @ step 4',
    (s) => ({ trace: changedStep(({ lr }) => ({ lr: [lr[0]!, lr[1]! * (1 + s * 1e-9), lr[2]!] })) }),
  ],
  ['momentum @ step 4', (s) => ({ trace: changedStep((t) => ({ momentum: t.momentum + s * 1e-9 })) })],
  [
    'final parameter norms, relative @ head.8.bias',
    (s) => ({
      parametersAfterTrace: changed(exact.parametersAfterTrace, 'head.8.bias', scaleNorm(1 + s * 1e-4)),
    }),
  ],
])('%s misses its bound, and it alone, just beyond it', (expected, change) => {
  expect(missed({ ...exact, ...change(0.9) })).toEqual([]);
  expect(missed({ ...exact, ...change(1.1) })).toEqual([expected]);
});

test('counts and labels must be exact', () => {
  expect(missed({ ...exact, parameters: exact.parameters + 1 })).toEqual(['parameter count @ ']);
  expect(missed({ ...exact, labels: exact.labels.with(2, 0) })).toEqual(['labels @ ']);
});

test('a tensor too few or too many, and a step too few, deviate infinitely', () => {
  const fewer = new Map(exact.gradients);
  fewer.delete('conv1.weight');
  expect(missed({ ...exact, gradients: fewer })).toContain('gradient norm, relative @ conv1.weight');
  const more = new Map(exact.parametersAfterTrace).set('fc.bias', { norm: 1, first: [1], count: 1 });
  expect(missed({ ...exact, parametersAfterTrace: more })).toEqual([
    'final parameter norms, relative @ fc.bias',
  ]);
  expect(missed({ ...exact, trace: exact.trace.slice(0, -1) })).toContain('trace losses, relative @ step 7');
});

test('NaN meets no bound, wherever it stands', () => {
  expect(missed({ ...exact, evalLogits: changedLogit(() => Number.NaN) })).toHaveLength(1);
  expect(missed({ ...exact, trainLoss: Number.NaN })).toHaveLength(1);
  const gradients = changed(exact.gradients, 'conv1.weight', () => ({ norm: Number.NaN }));
  expect(missed({ ...exact, gradients })).toEqual(['gradient norm, relative @ conv1.weight']);
});
