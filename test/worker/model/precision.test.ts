import { describe, expect, test } from 'vitest';
import { gradientOf } from '../../../worker/model/gradient-of.js';
import { type NormalizedBatch, openProgram, type ProgramOptions } from '../../../worker/model/program.js';
import { plausibleState } from '../../support/tensorflow/model-state.js';
import { randomValues, relativeDistance } from '../../support/tensorflow/random-values.js';

const classes = 4;
const size = 64;
const count = 8;
const batch: NormalizedBatch = {
  pixels: randomValues(count * size * size * 3, 3).map((value) => 2 * value),
  labels: Int32Array.from({ length: count }, (_, index) => index % classes),
};

type Arch = ProgramOptions['arch'];
type Computed = ReturnType<typeof computeAnew>;
const computed = new Map<string, Computed>();

/** Logits, loss and the head's and the first layer's gradients. */
function compute(arch: Arch, precision: ProgramOptions['precision']): Computed {
  const key = `${arch} ${precision}`;
  const found = computed.get(key) ?? computeAnew(arch, precision);
  computed.set(key, found);
  return found;
}

function computeAnew(arch: Arch, precision: ProgramOptions['precision']) {
  const program = openProgram({
    arch,
    classes,
    size,
    presize: size,
    precision,
    dropout: [0, 0],
    trainable: ['all'],
    weightDecay: 0,
    input: 'normalized',
  });
  try {
    program.load(plausibleState(program.state));
    const layout = program.reduction('all');
    const vector = new Float32Array(layout.length);
    program.gradients([{ batch, key: [0, 0] }], 'all', vector);
    return {
      logits: program.logits(batch),
      loss: vector[layout.tail.lossSum]!,
      statistics: vector.slice(layout.gradientLength, layout.tail.lossSum),
      head: gradientOf(layout, vector, 'head.4.weight').values,
      stem: gradientOf(layout, vector, 'conv1.weight').values,
    };
  } finally {
    program.close();
  }
}

describe.each(['resnet18', 'resnet50'] as const)('%s', (arch) => {
  test('in float32 is what it is in float64', () => {
    const [found, exact] = [compute(arch, 'float32'), compute(arch, 'float64')];
    expect(relativeDistance(found.logits, exact.logits)).toBeLessThan(1e-4);
    expect(Math.abs(found.loss / exact.loss - 1)).toBeLessThan(1e-3);
    expect(relativeDistance(found.statistics, exact.statistics)).toBeLessThan(2e-4);
    // Wider than rounding: a ReLU or a maximum on the edge may fall to the other side.
    expect(relativeDistance(found.head, exact.head)).toBeLessThan(1e-2);
    expect(relativeDistance(found.stem, exact.stem)).toBeLessThan(0.1);
  });
});

test('ResNet18 in bfloat16 is close to itself in float32', () => {
  const [found, exact] = [compute('resnet18', 'bfloat16'), compute('resnet18', 'float32')];
  expect(relativeDistance(found.logits, exact.logits)).toBeLessThan(0.05);
  expect(Math.abs(found.loss / exact.loss - 1)).toBeLessThan(0.05);
  expect(relativeDistance(found.statistics, exact.statistics)).toBeLessThan(0.02);
  expect(relativeDistance(found.head, exact.head)).toBeLessThan(0.5);
});
