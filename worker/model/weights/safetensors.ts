import assert from 'node:assert/strict';
import { RondoError } from '../../../runtime/errors.js';
import {
  encodeSafetensorsHeader,
  parseSafetensorsHeader,
  type SafetensorsEntry,
} from '../../../runtime/safetensors.js';
import { decodeValues, isElementType, type WeightTensor } from './weight-tensor.js';

/**
 * All tensors of a safetensors file, given whole. Throws data-loss, naming `file` and what is wrong in it,
 * when the file is truncated, its header is malformed or tensors overlap.
 */
export function readSafetensors(bytes: Uint8Array, file = 'The file'): Map<string, WeightTensor> {
  const { entries } = parseSafetensorsHeader(bytes, bytes.length, file);
  refuseOverlap(entries, file);
  return new Map(
    entries.map(({ name, dtype, shape, start, end }) => {
      assert(isElementType(dtype), `"${name}" has the type ${dtype}`);
      return [name, { shape, dtype, values: decodeValues(bytes.subarray(start, end), dtype) }];
    }),
  );
}

/**
 * The pieces of a safetensors file of float32 tensors, in order: the header, then each tensor's bytes, not
 * copied.
 */
export function* writeSafetensors(
  tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly values: Float32Array;
  }[],
  metadata: Readonly<Record<string, string>> = {},
): Generator<Uint8Array> {
  for (const { name, shape, values } of tensors) {
    const count = shape.reduce((product, side) => product * side, 1);
    assert(count === values.length, `"${name}" of shape [${shape.join(', ')}] has ${values.length} values`);
  }
  yield encodeSafetensorsHeader(
    tensors.map(({ name, shape }) => ({ name, shape, dtype: 'F32' })),
    metadata,
  );
  for (const { values } of tensors) yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function refuseOverlap(entries: readonly SafetensorsEntry[], file: string): void {
  const inOrder = entries.toSorted((a, b) => a.start - b.start || a.end - b.end);
  for (const [index, entry] of inOrder.entries()) {
    const before = inOrder[index - 1];
    if (before !== undefined && entry.start < before.end) {
      throw new RondoError('data-loss', `${file}: tensors "${before.name}" and "${entry.name}" overlap.`, {
        remedy: 'Take another copy of the file.',
      });
    }
  }
}
