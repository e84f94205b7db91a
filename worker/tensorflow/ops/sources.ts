import type { DType } from '../dtype.js';
import { type Graph, output, type Tensor } from '../graph.js';
import { elementCount, type Shape } from '../shape.js';
import { check } from './checks.js';

/** A value that callers of the loaded graph give by name, in any shape that fits. */
export function argument<D extends DType>(graph: Graph, name: string, dtype: D, shape: Shape): Tensor<D> {
  const attributes = {
    dtype: { kind: 'type', value: dtype },
    shape: { kind: 'shape', value: shape },
  } as const;
  return output(graph.add({ op: 'Placeholder', name, attributes, outputs: [{ dtype, shape }] }));
}

/** Larger constants are hardly needed twice. */
const sharedBytes = 256;

function constantOf<D extends DType>(graph: Graph, dtype: D, shape: Shape, bytes: Uint8Array): Tensor<D> {
  const spec = () => {
    const attributes = {
      dtype: { kind: 'type', value: dtype },
      value: { kind: 'tensor', dtype, shape, bytes },
    } as const;
    return { op: 'Const', attributes, outputs: [{ dtype, shape }] };
  };
  if (bytes.length > sharedBytes) return output(graph.add(spec()));
  return output(graph.addConstant(`${dtype} ${shape.join()} ${bytes.join()}`, spec));
}

/** `values` in row-major order. */
export function constantArray(
  graph: Graph,
  values: Float32Array,
  shape: readonly number[],
): Tensor<'float32'> {
  check(
    values.length === elementCount(shape),
    'Const',
    `${values.length} values do not fill [${shape.join(', ')}]`,
  );
  return constantOf(
    graph,
    'float32',
    shape,
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  );
}

/** Zeros; with a size of 0 in `shape`, a tensor without elements. */
export function zeros<D extends DType>(graph: Graph, dtype: D, shape: readonly number[]): Tensor<D> {
  // A TensorProto without content is filled with its dtype's zero.
  return constantOf(graph, dtype, shape, new Uint8Array(0));
}

/** A vector of strings, in UTF-8. */
export function constantStrings(graph: Graph, texts: readonly string[]): Tensor<'string'> {
  const shape = [texts.length];
  const attributes = {
    dtype: { kind: 'type', value: 'string' },
    value: { kind: 'strings', shape, values: texts.map((text) => Buffer.from(text)) },
  } as const;
  return output(graph.add({ op: 'Const', attributes, outputs: [{ dtype: 'string', shape }] }));
}

/** Reads `values` in row-major order; a scalar if no shape is given. */
export function constant<D extends 'float32' | 'float64' | 'int32' | 'uint64'>(
  graph: Graph,
  dtype: D,
  values: number | readonly number[],
  shape: readonly number[] = typeof values === 'number' ? [] : [values.length],
): Tensor<D> {
  const list = typeof values === 'number' ? [values] : values;
  check(
    list.length === elementCount(shape),
    'Const',
    `${list.length} values do not fill shape [${shape.join(', ')}]`,
  );
  const array =
    dtype === 'float32'
      ? Float32Array.from(list)
      : dtype === 'int32'
        ? Int32Array.from(list)
        : dtype === 'float64'
          ? Float64Array.from(list)
          : BigUint64Array.from(list, BigInt);
  return constantOf(graph, dtype, shape, new Uint8Array(array.buffer));
}

/** The sizes of a tensor's dimensions when the graph runs: int32 [rank]. */
export function shapeOf(tensor: Tensor): Tensor<'int32'> {
  const graph = tensor.node.graph;
  const known = tensor.shape.every((size) => size !== null);
  if (known) return constant(graph, 'int32', tensor.shape as readonly number[]);
  const attributes = {
    T: { kind: 'type', value: tensor.dtype },
    out_type: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: 'int32', shape: [tensor.shape.length] }] as const;
  return output(graph.add({ op: 'Shape', inputs: [tensor], attributes, outputs }));
}

/** The number of a tensor's elements when the graph runs: int32 scalar. */
export function sizeOf(tensor: Tensor): Tensor<'int32'> {
  const attributes = {
    T: { kind: 'type', value: tensor.dtype },
    out_type: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [{ dtype: 'int32', shape: [] }] as const;
  return output(tensor.node.graph.add({ op: 'Size', inputs: [tensor], attributes, outputs }));
}
