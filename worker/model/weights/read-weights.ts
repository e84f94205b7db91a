import { damaged, unsuitable } from './file-faults.js';
import { describeForeignFile } from './foreign-files.js';
import { isLegacyCheckpoint, readLegacyCheckpoint } from './legacy-checkpoint.js';
import { readSafetensors } from './safetensors.js';
import type { TensorDict } from './weight-tensor.js';
import { isZip, readZipCheckpoint } from './zip-checkpoint.js';

/**
 * All dicts of tensors in a weights file, given whole, in whichever format it is: safetensors, or a PyTorch
 * checkpoint as written since 1.6 (a ZIP archive) or before. Throws data-loss for damaged files,
 * invalid-argument for files that hold something else.
 */
export function readWeights(bytes: Uint8Array, file = 'The weights file'): TensorDict[] {
  if (bytes.length === 0) throw damaged(file, 'it is empty');
  if (isZip(bytes)) return readZipCheckpoint(bytes, file);
  if (isLegacyCheckpoint(bytes)) return readLegacyCheckpoint(bytes, file);
  const foreign = describeForeignFile(bytes);
  if (foreign !== null) throw unsuitable(file, foreign.what, foreign.remedy);
  return [{ path: '', tensors: readSafetensors(bytes, file) }];
}
