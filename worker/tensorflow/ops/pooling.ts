import { type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { check, checkDType, checkRank, checkSameDType, checkShape } from './checks.js';
import { outputSize, type Window } from './convolution.js';

export interface Pool extends Window {
  /** Height and width of the window, in places. */
  readonly window: readonly [number, number];
}

function attributesOf(dtype: FloatDType, { window, stride, padding }: Pool) {
  return {
    T: { kind: 'type', value: dtype },
    ksize: { kind: 'ints', value: [1, ...window, 1] },
    strides: { kind: 'ints', value: [1, stride, stride, 1] },
    padding: { kind: 'string', value: padding },
    data_format: { kind: 'string', value: 'NHWC' },
    explicit_paddings: { kind: 'ints', value: [] },
  } as const;
}

/** Largest value in each window of images [n, height, width, channels]. */
export function maxPool<D extends FloatDType>(x: Tensor<D>, pool: Pool): Tensor<D> {
  checkDType('MaxPool', floats, x);
  checkRank('MaxPool', 4, x);
  const sides = [
    outputSize(x.shape[1]!, pool.window[0], pool),
    outputSize(x.shape[2]!, pool.window[1], pool),
  ];
  const fits = sides.every((side) => side === null || side > 0);
  check(fits, 'MaxPool', `a window of ${pool.window.join('×')} is larger than its input`, x);
  const outputs = [{ dtype: x.dtype, shape: [x.shape[0]!, ...sides, x.shape[3]!] }];
  return output(
    x.node.graph.add({ op: 'MaxPool', inputs: [x], attributes: attributesOf(x.dtype, pool), outputs }),
  );
}

/** Gradient of maxPool: it goes to the first largest place of each window. */
export function maxPoolGradient<D extends FloatDType>(
  x: Tensor<D>,
  result: Tensor<D>,
  gradient: Tensor<D>,
  pool: Pool,
): Tensor<D> {
  checkSameDType('MaxPoolGrad', x, result, gradient);
  checkShape('MaxPoolGrad', result.shape, gradient);
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  const inputs = [x, result, gradient];
  return output(
    x.node.graph.add({ op: 'MaxPoolGrad', inputs, attributes: attributesOf(x.dtype, pool), outputs }),
  );
}
