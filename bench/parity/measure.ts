import { oneCycleMomentum, oneCycleRate } from '../../plan/one-cycle.js';
import { gradientOf } from '../../worker/model/gradient-of.js';
import type { StateLayout, TensorSpec } from '../../worker/model/layout.js';
import { volume } from '../../worker/model/parameters.js';
import { type NormalizedBatch, openProgram, type Program } from '../../worker/model/program.js';
import { type Measured, type MeasuredFigures, nearestGradients } from './compare.js';
import { parityImages, parityLabels, parityTensor, uniformNumbers } from './formula.js';
import type { Reference } from './reference.js';

const weightDecay = 0.01;
/** The reference has its peak at this share of the steps exactly; a run rounds it down to a whole step. */
const warmupShare = 0.3;

/**
 * Everything that the reference file states, computed by the training program from the same weights and inputs: the
 * evaluation's logits, one training step's loss, gradients and running statistics, and the optimizer's steps.
 *
 * A ReLU whose input lies within float32's rounding of zero may fall on the other side of it than in float64, and one
 * such in the last layers moves every gradient before it by some 3 % of an element's size. With `roundings` > 1 the
 * gradients are also computed for images that are moved by less than 2^-22 of themselves, which settles such ReLUs
 * anew, and those of the run nearest to the reference are taken. A wrong formula is as wrong in all of them.
 */
export function measure(reference: Reference, { roundings = 1 }: { roundings?: number } = {}): Measured {
  const { arch, classes, size } = reference;
  const program = openProgram({
    arch,
    classes,
    size,
    presize: size,
    precision: 'float32',
    dropout: [0, 0],
    trainable: ['all'],
    weightDecay,
    input: 'normalized',
  });
  try {
    return measureProgram(program, reference, roundings);
  } finally {
    program.close();
  }
}

function measureProgram(
  program: Program<NormalizedBatch>,
  reference: Reference,
  roundings: number,
): Measured {
  const { seed, batch, size, classes } = reference;
  const labels = parityLabels(seed, batch, classes);
  const images = { pixels: parityImages(seed, batch, size), labels };
  program.load(initialState(program.state, seed));
  const evalLogits = rowsOf(program.logits(images), classes);

  const reduction = program.reduction('all');
  const vector = new Float32Array(reduction.length);
  const measureGradients = (pixels: Float32Array) => {
    program.gradients([{ batch: { pixels, labels }, key: [0, 0] }], 'all', vector);
    return new Map(
      reduction.gradients.map(({ name }) => [
        name,
        figuresOf(gradientOf(reduction, vector, name).values, 1 / batch),
      ]),
    );
  };
  const candidates = Array.from({ length: roundings }, (_, draw) =>
    measureGradients(draw === 0 ? images.pixels : roundAnew(images.pixels, draw)),
  );
  const gradients = nearestGradients(reference, candidates);
  const statistics = new Map<string, MeasuredFigures>();
  const schedule = planTrace(reference);
  const trace = schedule.map(({ momentum, lr }, step) => {
    program.gradients([{ batch: images, key: [0, 0] }], 'all', vector);
    program.apply(vector, { trainable: 'all', learningRates: lr, momentum, step: step + 1 });
    if (step === 0) collect(statistics, program.state.statistics, program.save());
    return { momentum, lr, loss: vector[reduction.tail.lossSum]! / batch };
  });
  const parametersAfterTrace = new Map<string, MeasuredFigures>();
  collect(parametersAfterTrace, program.state.parameters, program.save());
  return {
    parameters: program.state.parameterLength,
    labels: [...labels],
    evalLogits,
    trainLoss: trace[0]!.loss,
    gradients,
    statistics,
    trace,
    parametersAfterTrace,
  };
}

function initialState(layout: StateLayout, seed: number): Float32Array {
  const state = new Float32Array(layout.length);
  for (const { name, shape, offset } of [...layout.parameters, ...layout.statistics]) {
    state.set(parityTensor(seed, name, shape), offset);
  }
  return state;
}

/** The reference's schedule by the plan's own functions. The peaks are not in the file: step 0 trains at peak/25. */
function planTrace({ trace }: Reference): { momentum: number; lr: number[] }[] {
  const cycle = { steps: trace.length, warmupSteps: warmupShare * trace.length };
  const peaks = trace[0].lr.map((lr) => 25 * lr);
  return trace.map((_, step) => ({
    momentum: oneCycleMomentum(step, cycle),
    lr: peaks.map((peak) => oneCycleRate(step, { ...cycle, peak })),
  }));
}

/** The images, each number moved by less than 2^-22 of itself; by other amounts in each draw. */
function roundAnew(pixels: Float32Array, draw: number): Float32Array {
  const shares = uniformNumbers(draw, 'rounding', pixels.length);
  return pixels.map((value, i) => value * (1 + shares[i]! * 2 ** -21));
}

function collect(
  into: Map<string, MeasuredFigures>,
  specs: readonly TensorSpec[],
  state: Float32Array,
): void {
  for (const { name, shape, offset } of specs) {
    into.set(name, figuresOf(state.subarray(offset, offset + volume(shape)), 1));
  }
}

function figuresOf(values: Float32Array, scale: number): MeasuredFigures {
  let squares = 0;
  for (const value of values) squares += value * value;
  const first = Array.from(values.subarray(0, 3), (value) => value * scale);
  return { norm: Math.sqrt(squares) * scale, first, count: values.length };
}

function rowsOf(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) => [
    ...values.subarray(row * width, (row + 1) * width),
  ]);
}
