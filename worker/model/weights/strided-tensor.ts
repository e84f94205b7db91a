import { damaged } from './file-faults.js';
import type { StridedTensor } from './torch-objects.js';
import { decodeValues, type WeightTensor } from './weight-tensor.js';

/** A tensor may hold more values than its storage (strides of 0), but no more than this. */
const maxRepeatedValues = 1 << 20;

/**
 * The tensor's values in row-major order, out of the bytes of its storage: a view of them where they lie so.
 * Throws data-loss when the tensor reaches beyond them.
 */
export function decodeTensor(
  name: string,
  { storage, dtype, offset, shape, strides }: StridedTensor,
  storageBytes: Uint8Array,
  file: string,
): WeightTensor {
  const { bytes: size, count } = storage;
  const volume = shape.reduce((product, side) => product * side, 1);
  const last = offset + shape.reduce((sum, side, axis) => sum + (side - 1) * strides[axis]!, 0);
  if (volume > 0 && !(last < count)) throw damaged(file, `"${name}" reaches beyond its storage`);
  if (volume > Math.max(count, maxRepeatedValues))
    throw damaged(file, `"${name}" would have ${volume} values`);
  const bytes = isRowMajor(shape, strides)
    ? storageBytes.subarray(offset * size, (offset + volume) * size)
    : gather(storageBytes, { size, offset, shape, strides, volume });
  return { shape, dtype, values: decodeValues(bytes, dtype) };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

interface Gathering {
  readonly size: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly volume: number;
}

function gather(from: Uint8Array, { size, offset, shape, strides, volume }: Gathering): Uint8Array {
  const into = new Uint8Array(volume * size);
  const index = new Array<number>(shape.length).fill(0);
  let element = offset;
  for (let at = 0; at < into.length; at += size) {
    for (let byte = 0; byte < size; byte++) into[at + byte] = from[element * size + byte]!;
    // The next index, as an odometer counts.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      element += strides[axis]!;
      index[axis]! += 1;
      if (index[axis]! < shape[axis]!) break;
      element -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return into;
}
