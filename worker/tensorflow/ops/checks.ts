import assert from 'node:assert/strict';
import type { DType } from '../dtype.js';
import type { Tensor } from '../graph.js';
import { formatShape, type Shape, shapesAgree } from '../shape.js';

/** `name float32 [n, 7, 7, 512]`, for messages. */
export function describe(tensor: Tensor): string {
  return `${tensor.node.name} ${tensor.dtype} ${formatShape(tensor.shape)}`;
}

/** Throws an AssertionError that names the operation, where it is and the tensors it was given. */
export function check(
  condition: boolean,
  op: string,
  problem: string,
  ...involved: (Tensor | readonly Tensor[])[]
): asserts condition {
  if (condition) return;
  const tensors = involved.flat();
  const place = tensors[0] === undefined ? op : tensors[0].node.graph.locate(op);
  assert.fail(`${place}: ${problem}${tensors.length > 0 ? ` (${tensors.map(describe).join('; ')})` : ''}`);
}

export function checkDType<D extends DType>(op: string, allowed: readonly D[], ...tensors: Tensor[]): void {
  for (const tensor of tensors) {
    const fits = (allowed as readonly DType[]).includes(tensor.dtype);
    check(fits, op, `wants ${allowed.join(' or ')}, not ${tensor.dtype}`, tensor);
  }
}

export function checkSameDType(op: string, ...operands: (Tensor | readonly Tensor[])[]): void {
  const tensors = operands.flat();
  const same = tensors.every((tensor) => tensor.dtype === tensors[0]!.dtype);
  check(same, op, 'wants operands of one dtype', tensors);
}

export function checkRank(op: string, rank: number, tensor: Tensor): void {
  check(tensor.shape.length === rank, op, `wants ${rank} dimensions, not ${tensor.shape.length}`, tensor);
}

export function checkShape(op: string, shape: Shape, tensor: Tensor): void {
  const fits = shapesAgree(shape, tensor.shape);
  check(fits, op, `wants shape ${formatShape(shape)}, not ${formatShape(tensor.shape)}`, tensor);
}
