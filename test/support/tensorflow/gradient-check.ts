import type { FloatDType } from '../../../worker/tensorflow/dtype.js';
import { gradients } from '../../../worker/tensorflow/gradients/gradients.js';
import { Graph, type Tensor } from '../../../worker/tensorflow/graph.js';
import { add, divide, multiply, subtract } from '../../../worker/tensorflow/ops/arithmetic.js';
import { reshape } from '../../../worker/tensorflow/ops/arrays.js';
import { cast } from '../../../worker/tensorflow/ops/convert.js';
import { placeholder } from '../../../worker/tensorflow/ops/placeholder.js';
import { sum } from '../../../worker/tensorflow/ops/reductions.js';
import { constant } from '../../../worker/tensorflow/ops/sources.js';
import { openSession } from '../../../worker/tensorflow/session.js';
import { randomValues } from './random-values.js';

type Real = Tensor<FloatDType>;

/** A function of tensors of the given shapes whose gradient is under test. Sizes of null are fed as 3. */
export interface Differentiable {
  readonly shapes: readonly (readonly (number | null)[])[];
  readonly build: (...inputs: Real[]) => Real;
  /** Applied to the random inputs, which lie in −1…1. */
  readonly prepare?: (value: number) => number;
}

const unknownSize = 3;
const sizesOf = (shape: readonly (number | null)[]) => shape.map((size) => size ?? unknownSize);
const volume = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** The sum of all elements, each by a weight of its own, so that no gradient cancels out. */
function weigh(result: Real): Real {
  const sizes = sizesOf(result.shape);
  const weights = constant(result.node.graph, 'float32', [...randomValues(volume(sizes), 99)], sizes);
  return sum(multiply(result, cast(weights, result.dtype)));
}

function inputsOf({ shapes, prepare = (value) => value }: Differentiable): Record<string, Float32Array> {
  return Object.fromEntries(
    shapes.map((shape, index) => [
      `input${index}`,
      randomValues(volume(sizesOf(shape)), index + 1).map(prepare),
    ]),
  );
}

/** The gradients by the rules under test, in the given dtype; one array for each input. */
export function gradientsByRule(subject: Differentiable, dtype: FloatDType): Float32Array[] {
  const graph = new Graph();
  const fed = subject.shapes.map((shape, index) => placeholder(graph, `input${index}`, 'float32', shape));
  const loss = cast(weigh(subject.build(...fed.map((input) => cast(input, dtype)))), 'float32');
  const found = gradients(loss, fed) as Tensor<'float32'>[];
  return withSession(graph, (session) => {
    const fetches = Object.fromEntries(found.map((gradient, index) => [`${index}`, gradient]));
    return Object.values(session.run(inputsOf(subject), fetches));
  });
}

/**
 * The loss's slope at the inputs along one random direction in each input, by central differences within one
 * graph.
 *
 * @returns for each direction, the slope and the direction's part in each input.
 */
export function slopes(
  subject: Differentiable,
  { dtype, width, directions }: { dtype: FloatDType; width: number; directions: number },
): { slope: number; along: Float32Array[] }[] {
  const graph = new Graph();
  const number = (value: number) => cast(constant(graph, 'float32', value), dtype);
  const fed = subject.shapes.map((shape, index) => placeholder(graph, `input${index}`, 'float32', shape));
  const results = Array.from({ length: directions }, (_, direction) => {
    const along = subject.shapes.map((shape, index) =>
      randomValues(volume(sizesOf(shape)), 1000 * (direction + 1) + index),
    );
    const moved = (move: typeof add | typeof subtract) =>
      weigh(
        subject.build(
          ...fed.map((input, index) => {
            const step = cast(constant(graph, 'float32', [...along[index]!]), dtype);
            const shaped = reshape(step, sizesOf(subject.shapes[index]!));
            return reshape(move(cast(input, dtype), multiply(shaped, number(width))), input.shape);
          }),
        ),
      );
    const difference = subtract(moved(add), moved(subtract));
    return { along, slope: cast(divide(difference, number(2 * width)), 'float32') };
  });
  return withSession(graph, (session) => {
    const fetches = Object.fromEntries(results.map(({ slope }, index) => [`${index}`, slope]));
    const found = session.run(inputsOf(subject), fetches);
    return results.map(({ along }, index) => ({ along, slope: found[`${index}`]![0]! }));
  });
}

function withSession<T>(graph: Graph, use: (session: ReturnType<typeof openSession>) => T): T {
  const session = openSession(graph);
  try {
    return use(session);
  } finally {
    session.close();
  }
}

export function dot(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return a.reduce(
    (total, values, index) => total + values.reduce((sum, value, k) => sum + value * b[index]![k]!, 0),
    0,
  );
}
