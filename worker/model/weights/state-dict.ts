import { unsuitable } from './file-faults.js';
import { decodeTensor } from './strided-tensor.js';
import { isTensor, type Storage } from './torch-objects.js';
import type { WeightTensor } from './weight-tensor.js';

/** Where training scripts put the weights, beside the epoch, the optimizer and so on. */
const nestedUnder = ['state_dict', 'model'];

/**
 * The tensors of a checkpoint's root object by name: its own, or those of a dict under 'state_dict' or 'model'. What is no
 * tensor is left out. `bytesOf` gives a storage's bytes. Throws invalid-argument when there are no tensors.
 */
export function readStateDict(
  root: unknown,
  bytesOf: (storage: Storage) => Uint8Array,
  file: string,
): Map<string, WeightTensor> {
  if (!(root instanceof Map)) throw unsuitable(file, 'it holds no dict of tensors by name');
  const nested = nestedUnder.map((name) => root.get(name) as unknown).find((value) => value instanceof Map);
  const tensors = new Map<string, WeightTensor>();
  for (const [name, value] of (nested ?? root) as Map<unknown, unknown>) {
    if (typeof name !== 'string' || !isTensor(value)) continue;
    tensors.set(name, decodeTensor(name, value, bytesOf(value.storage), file));
  }
  if (tensors.size === 0)
    throw unsuitable(file, 'it holds no tensors by name, nor under "state_dict" or "model"');
  return tensors;
}
