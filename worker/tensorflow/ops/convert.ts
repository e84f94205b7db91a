import type { DType } from '../dtype.js';
import { output, type Tensor } from '../graph.js';
import { reshape } from './arrays.js';
import { check, checkDType, checkRank, checkShape } from './checks.js';
import { constant } from './sources.js';

/** Converts values; the tensor itself if it has the dtype already. */
export function cast<S extends DType, D extends DType>(x: Tensor<S>, dtype: D): Tensor<D> {
  if ((x.dtype as DType) === dtype) return x as Tensor as Tensor<D>;
  const attributes = {
    SrcT: { kind: 'type', value: x.dtype },
    DstT: { kind: 'type', value: dtype },
    Truncate: { kind: 'bool', value: false },
  } as const;
  const outputs = [{ dtype, shape: x.shape }];
  return output(x.node.graph.add({ op: 'Cast', inputs: [x], attributes, outputs }));
}

/** The same bits under another type: of 32 bits too, or int32 [...] as uint8 [..., 4], lowest byte first. */
export function bitcast<D extends 'float32' | 'int32' | 'uint8'>(
  x: Tensor<'float32'> | Tensor<'int32'>,
  dtype: D,
  name?: string,
): Tensor<D> {
  checkDType('Bitcast', ['float32', 'int32'], x);
  const attributes = {
    T: { kind: 'type', value: x.dtype },
    type: { kind: 'type', value: dtype },
  } as const;
  const outputs = [{ dtype, shape: dtype === 'uint8' ? [...x.shape, 4] : x.shape }];
  return output(
    x.node.graph.add({ op: 'Bitcast', ...(name ? { name } : {}), inputs: [x], attributes, outputs }),
  );
}

/** Each pair of int32 along the last dimension as one uint64, low word first. */
export function bitcastPairs(x: Tensor<'int32'>): Tensor<'uint64'> {
  checkDType('Bitcast', ['int32'], x);
  check(x.shape.at(-1) === 2, 'Bitcast', 'pairs need a last dimension of 2', x);
  const attributes = {
    T: { kind: 'type', value: 'int32' },
    type: { kind: 'type', value: 'uint64' },
  } as const;
  const outputs = [{ dtype: 'uint64', shape: x.shape.slice(0, -1) }] as const;
  return output(x.node.graph.add({ op: 'Bitcast', inputs: [x], attributes, outputs }));
}

/** The value itself, under a name of its own. */
export function identity<D extends DType>(x: Tensor<D>, name?: string): Tensor<D> {
  const attributes = { T: { kind: 'type', value: x.dtype } } as const;
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  return output(
    x.node.graph.add({ op: 'Identity', ...(name ? { name } : {}), inputs: [x], attributes, outputs }),
  );
}

/** A copy in memory of its own. */
export function copy<D extends DType>(x: Tensor<D>): Tensor<D> {
  const attributes = { T: { kind: 'type', value: x.dtype } } as const;
  const outputs = [{ dtype: x.dtype, shape: x.shape }];
  return output(x.node.graph.add({ op: 'DeepCopy', inputs: [x], attributes, outputs }));
}

/** Writes `row` [size] over the one row of `target` [1, size], in the target's own memory. */
export function overwrite<D extends DType>(target: Tensor<D>, row: Tensor<D>): Tensor<D> {
  checkRank('InplaceUpdate', 2, target);
  checkShape('InplaceUpdate', [target.shape[1]!], row);
  const graph = target.node.graph;
  const attributes = { T: { kind: 'type', value: target.dtype } } as const;
  const outputs = [{ dtype: target.dtype, shape: target.shape }];
  const rows = reshape(row, [1, target.shape[1]!]);
  const inputs = [target, constant(graph, 'int32', [0]), rows];
  return output(graph.add({ op: 'InplaceUpdate', inputs, attributes, outputs }));
}
