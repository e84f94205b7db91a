import { type FloatDType, floats } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import type { Shape } from '../shape.js';
import { pad } from './arrays.js';
import { check, checkDType, checkRank, checkSameDType, checkShape } from './checks.js';
import { constant, shapeOf } from './sources.js';

export type Padding = 'SAME' | 'VALID';

export interface Window {
  readonly stride: number;
  readonly padding: Padding;
}

/** Side of what a window gives that slides over `size` places. */
export function outputSize(size: number | null, window: number, { stride, padding }: Window): number | null {
  if (size === null) return null;
  return padding === 'SAME' ? Math.ceil(size / stride) : Math.ceil((size - window + 1) / stride);
}

function attributesOf(dtype: FloatDType, { stride, padding }: Window) {
  return {
    T: { kind: 'type', value: dtype },
    strides: { kind: 'ints', value: [1, stride, stride, 1] },
    padding: { kind: 'string', value: padding },
    data_format: { kind: 'string', value: 'NHWC' },
    dilations: { kind: 'ints', value: [1, 1, 1, 1] },
    use_cudnn_on_gpu: { kind: 'bool', value: true },
    explicit_paddings: { kind: 'ints', value: [] },
  } as const;
}

function resultShape(op: string, x: Tensor, filter: Tensor, window: Window): Shape {
  checkDType(op, floats, x, filter);
  checkSameDType(op, x, filter);
  checkRank(op, 4, x);
  checkRank(op, 4, filter);
  const [height, width, channels, filters] = filter.shape;
  check(x.shape[3] === channels, op, 'input and filter must have the same channels', x, filter);
  const sides = [outputSize(x.shape[1]!, height!, window), outputSize(x.shape[2]!, width!, window)];
  const fits = sides.every((side) => side === null || side > 0);
  check(fits, op, 'the filter is larger than its input', x, filter);
  return [x.shape[0]!, ...sides, filters!];
}

/** Convolution of images [n, height, width, channels] with a filter [height, width, channels, filters]. */
export function conv2d<D extends FloatDType>(x: Tensor<D>, filter: Tensor<D>, window: Window): Tensor<D> {
  const shape = resultShape('Conv2D', x, filter, window);
  const attributes = attributesOf(x.dtype, window);
  const outputs = [{ dtype: x.dtype, shape }];
  return output(x.node.graph.add({ op: 'Conv2D', inputs: [x, filter], attributes, outputs }));
}

/**
 * A convolution as PyTorch pads it: `(side − 1) / 2` on all sides. Stride 1 is SAME; a larger stride pads
 * first, because SAME would put the odd pixel elsewhere, and explicit padding misses the fast CPU kernels in
 * the backward pass.
 */
export function conv2dCentred<D extends FloatDType>(
  x: Tensor<D>,
  filter: Tensor<D>,
  stride: number,
): Tensor<D> {
  const side = filter.shape[0]!;
  check(side === filter.shape[1] && side % 2 === 1, 'Conv2D', 'wants a square filter of odd side', filter);
  if (stride === 1) return conv2d(x, filter, { stride, padding: 'SAME' });
  const margin = (side - 1) / 2;
  const around = [margin, margin] as const;
  const padded = margin === 0 ? x : pad(x, [[0, 0], around, around, [0, 0]]);
  return conv2d(padded, filter, { stride, padding: 'VALID' });
}

/** Gradient of conv2d with respect to `x`. */
export function conv2dInputGradient<D extends FloatDType>(
  x: Tensor<D>,
  filter: Tensor<D>,
  gradient: Tensor<D>,
  window: Window,
): Tensor<D> {
  const op = 'Conv2DBackpropInput';
  checkShape(op, resultShape(op, x, filter, window), gradient);
  const inputs = [shapeOf(x), filter, gradient];
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  return output(x.node.graph.add({ op, inputs, attributes: attributesOf(x.dtype, window), outputs }));
}

/** Gradient of conv2d with respect to its filter. */
export function conv2dFilterGradient<D extends FloatDType>(
  x: Tensor<D>,
  filter: Tensor<D>,
  gradient: Tensor<D>,
  window: Window,
): Tensor<D> {
  const op = 'Conv2DBackpropFilter';
  checkShape(op, resultShape(op, x, filter, window), gradient);
  const graph = x.node.graph;
  const inputs = [x, constant(graph, 'int32', filter.shape as readonly number[]), gradient];
  const outputs = [{ dtype: x.dtype, shape: filter.shape }];
  return output(graph.add({ op, inputs, attributes: attributesOf(x.dtype, window), outputs }));
}
