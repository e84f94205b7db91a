import assert from 'node:assert/strict';
import type { Tensor } from '../graph.js';

/** The numbers in a constant int32 tensor. */
export function constantValues(tensor: Tensor): number[] {
  const value = tensor.node.attributes.value;
  assert(value?.kind === 'tensor' && value.dtype === 'int32', `${tensor.node.name} is not an int32 constant`);
  const { buffer, byteOffset, byteLength } = value.bytes;
  return [...new Int32Array(buffer, byteOffset, byteLength / 4)];
}
