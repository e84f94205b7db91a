import { unsuitable } from './file-faults.js';
import { isLegacyCheckpoint, readLegacyCheckpoint } from './legacy-checkpoint.js';
import { readSafetensors } from './safetensors.js';
import type { WeightTensor } from './weight-tensor.js';
import { isZip, readZipCheckpoint } from './zip-checkpoint.js';

/**
 * All tensors of a weights file, given whole, in whichever format it is: safetensors, or a PyTorch checkpoint as written since
 * 1.6 (a ZIP archive) or before. Throws data-loss for damaged files, invalid-argument for files that hold something else.
 */
export function readWeights(bytes: Uint8Array, file = 'The weights file'): Map<string, WeightTensor> {
  if (isZip(bytes)) return readZipCheckpoint(bytes, file);
  if (isLegacyCheckpoint(bytes)) return readLegacyCheckpoint(bytes, file);
  // A safetensors file has its length's upper bytes, zero, where a pickle goes on.
  if (bytes[0] === 0x80 && bytes[7] !== 0)
    throw unsuitable(file, 'it is a Python pickle, but no checkpoint of PyTorch');
  return readSafetensors(bytes, file);
}
