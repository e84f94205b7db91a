import { oneCycleMomentum, oneCycleRate } from '../../plan/learning-rates.js';
import { allocateSumMemory } from '../../worker/arithmetic/reduction-vector.js';
import type { TensorSpec } from '../../worker/model/blocks.js';
import { gradientOf } from '../../worker/model/gradient-of.js';
import type { StateLayout } from '../../worker/model/layout.js';
import { volume } from '../../worker/model/parameters.js';
import { type NormalizedBatch, openProgram, type Program } from '../../worker/model/program.js';
import { sumAlone } from '../support/lone-sum.js';
import type { Measured, MeasuredFigures } from './compare.js';
import { parityImages, parityLabels, parityTensor } from './formula.js';
import type { Reference } from './reference.js';

const weightDecay = 0.01;
/** The reference has its peak at this share of the steps exactly; a run rounds it down to a whole step. */
const warmupShare = 0.3;

/**
 * Everything that the reference file states, computed by the training program from the same weights and
 * inputs: the evaluation's logits, one training step's loss, gradients and running statistics, and the
 * optimizer's steps.
 *
 * The reference was computed in float64. A ReLU whose input lies within float32's rounding of zero may fall
 * on the other side of it, and one such in the last layers moves every gradient before it by some 3 % of an
 * element's size, and the losses of the steps that follow by up to a hundredth (PyTorch's own float32 too):
 * that hides whether the mathematics is right. So gradients and steps are those of the same graph built in
 * float64; how far float32's, which a run trains with, are from them are figures of their own. Everything
 * else is computed in float32.
 */
export function measure(reference: Reference): Measured {
  const exact = withProgram(reference, 'float64', trainSteps);
  return withProgram(reference, 'float32', (program) => {
    const evalLogits = computeLogits(program, reference);
    const { gradients: rounded, trace, statistics } = trainSteps(program, reference);
    const gradients = new Map<string, MeasuredFigures>();
    for (const [name, values] of exact.gradients) gradients.set(name, figuresOf(values));
    return {
      parameters: program.state.parameterLength,
      labels: [...inputsOf(reference).labels],
      evalLogits,
      trainLoss: trace[0]!.loss,
      gradients,
      gradientDistance: relativeDistance(rounded, exact.gradients),
      statistics,
      trace: exact.trace,
      float32Losses: trace.map(({ loss }) => loss),
      parametersAfterTrace: exact.parametersAfterTrace,
    };
  });
}

/** Runs `compute` on a program that holds the reference's weights. */
function withProgram<T>(
  reference: Reference,
  precision: 'float32' | 'float64',
  compute: (program: Program<NormalizedBatch>, reference: Reference) => T,
): T {
  const { arch, classes, size, seed } = reference;
  const program = openProgram({
    arch,
    classes,
    size,
    presize: size,
    precision,
    dropout: [0, 0],
    trainable: ['all'],
    weightDecay,
    input: 'normalized',
  });
  try {
    program.load(initialState(program.state, seed));
    return compute(program, reference);
  } finally {
    program.close();
  }
}

function inputsOf({ seed, batch, size, classes }: Reference): NormalizedBatch {
  return { pixels: parityImages(seed, batch, size), labels: parityLabels(seed, batch, classes) };
}

function computeLogits(program: Program<NormalizedBatch>, reference: Reference): number[][] {
  return rowsOf(program.logits(inputsOf(reference)), reference.classes);
}

/**
 * The optimizer's steps, and what they leave; of the first one also each parameter's gradient of the mean loss,
 * in PyTorch's layout.
 */
function trainSteps(
  program: Program<NormalizedBatch>,
  reference: Reference,
): Pick<Measured, 'statistics' | 'trace' | 'parametersAfterTrace'> & {
  readonly gradients: ReadonlyMap<string, Float32Array>;
} {
  const reduction = program.reduction('all');
  const memory = allocateSumMemory(reduction.length);
  const batch = inputsOf(reference);
  const statistics = new Map<string, MeasuredFigures>();
  const gradients = new Map<string, Float32Array>();
  const trace = planTrace(reference).map(({ momentum, lr }, step) => {
    const found = sumAlone(program, memory, [{ batch, key: [0, 0] }], 'all');
    if (step === 0) {
      for (const [index, { name }] of reduction.gradients.entries()) {
        const { values } = gradientOf(reduction, memory.vector, name);
        gradients.set(
          name,
          values.map((sum) => (sum * found.units[index]!) / reference.batch),
        );
      }
    }
    program.apply(memory.vector, { ...found, trainable: 'all', learningRates: lr, momentum });
    if (step === 0) collect(statistics, program.state.statistics, program.save());
    return { momentum, lr, loss: memory.vector[reduction.tail.lossSum]! / reference.batch };
  });
  const parametersAfterTrace = new Map<string, MeasuredFigures>();
  collect(parametersAfterTrace, program.state.parameters, program.save());
  return { gradients, statistics, trace, parametersAfterTrace };
}

/** |found − expected| / |expected| over all tensors together. */
function relativeDistance(
  found: ReadonlyMap<string, Float32Array>,
  expected: ReadonlyMap<string, Float32Array>,
): number {
  let [differences, squares] = [0, 0];
  for (const [name, values] of expected) {
    for (const [index, value] of values.entries()) {
      differences += (found.get(name)![index]! - value) ** 2;
      squares += value ** 2;
    }
  }
  return Math.sqrt(differences / squares);
}

function initialState(layout: StateLayout, seed: number): Float32Array {
  const state = new Float32Array(layout.length);
  for (const { name, shape, offset } of [...layout.parameters, ...layout.statistics]) {
    state.set(parityTensor(seed, name, shape), offset);
  }
  return state;
}

/**
 * The reference's schedule by the plan's own functions. The peaks are not in the file: step 0 trains at
 * peak/25.
 */
function planTrace({ trace }: Reference): { momentum: number; lr: number[] }[] {
  const cycle = { steps: trace.length, warmupSteps: warmupShare * trace.length };
  const peaks = trace[0].lr.map((lr) => 25 * lr);
  return trace.map((_, step) => ({
    momentum: oneCycleMomentum(step, cycle),
    lr: peaks.map((peak) => oneCycleRate(step, { ...cycle, peak })),
  }));
}

function collect(
  into: Map<string, MeasuredFigures>,
  specs: readonly TensorSpec[],
  state: Float32Array,
): void {
  for (const { name, shape, offset } of specs) {
    into.set(name, figuresOf(state.subarray(offset, offset + volume(shape))));
  }
}

function figuresOf(values: Float32Array): MeasuredFigures {
  let squares = 0;
  for (const value of values) squares += value * value;
  return { norm: Math.sqrt(squares), first: [...values.subarray(0, 3)], count: values.length };
}

function rowsOf(values: Float32Array, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) => [
    ...values.subarray(row * width, (row + 1) * width),
  ]);
}
