import { type FileHandle, open } from 'node:fs/promises';
import { RondoError } from '../../runtime/errors.js';
import {
  parseSafetensorsHeader,
  type SafetensorsEntry,
  safetensorsJsonBytes,
  safetensorsLengthBytes,
} from '../../runtime/safetensors.js';
import { allocateShared } from '../../runtime/shared-buffer.js';
import { volume } from '../model/parameters.js';
import type { StateLayout, TensorSpec } from '../model/program.js';

/**
 * The whole state with the network's part of it read from a checkpoint's state.safetensors: parameters,
 * running statistics, and their moving averages where there are any. Moments are zero. Throws data-loss that
 * names the file.
 */
export async function readNetworkState(file: string, layout: StateLayout): Promise<Float32Array> {
  const state = new Float32Array(allocateShared(4 * layout.length), 0, layout.length);
  const network = [...layout.parameters, ...layout.statistics, ...layout.average];
  await readTensors(file, network, ({ offset, shape }) => state.subarray(offset, offset + volume(shape)));
  return state;
}

/**
 * Reads the float32 tensors named by `specs` into the places that `placeOf` gives, and nothing else of the
 * file.
 */
export async function readTensors<T extends Pick<TensorSpec, 'name' | 'shape'>>(
  file: string,
  specs: readonly T[],
  placeOf: (spec: T) => Float32Array,
): Promise<void> {
  const handle = await open(file, 'r');
  try {
    const entries = await readEntries(handle, file);
    for (const spec of specs) {
      const entry = entries.get(spec.name);
      if (entry?.dtype !== 'F32' || entry.shape.join() !== spec.shape.join()) throw unfit(file, spec, entry);
      const place = placeOf(spec);
      const bytes = new Uint8Array(place.buffer, place.byteOffset, place.byteLength);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, entry.start);
      if (bytesRead !== bytes.length) throw unfit(file, spec, undefined);
    }
  } finally {
    await handle.close();
  }
}

async function readEntries(handle: FileHandle, file: string): Promise<Map<string, SafetensorsEntry>> {
  const { size } = await handle.stat();
  const first = Buffer.alloc(Math.min(size, safetensorsLengthBytes));
  await handle.read(first, 0, first.length, 0);
  const beginning = Buffer.alloc(Math.min(size, safetensorsLengthBytes + safetensorsJsonBytes(first, file)));
  await handle.read(beginning, 0, beginning.length, 0);
  const { entries } = parseSafetensorsHeader(beginning, size, file);
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function unfit(
  file: string,
  { name, shape }: Pick<TensorSpec, 'name' | 'shape'>,
  found: SafetensorsEntry | undefined,
): RondoError {
  const instead = found === undefined ? '' : `, but ${found.dtype} [${found.shape.join(', ')}]`;
  return new RondoError('data-loss', `${file} has no float32 ${name} [${shape.join(', ')}]${instead}`, {
    remedy: "take another of the run's checkpoints: --checkpoint NAME",
  });
}
