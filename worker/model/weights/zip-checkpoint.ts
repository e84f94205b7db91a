import type { RondoError } from '../../../runtime/errors.js';
import { damaged, unsuitable } from './file-faults.js';
import { readPickle } from './pickle.js';
import { readStateDicts } from './state-dict.js';
import { createTorchHost } from './torch-objects.js';
import type { TensorDict } from './weight-tensor.js';
import { openZip } from './zip-archive.js';

/** The signature of a ZIP archive's first file. */
export function isZip(bytes: Uint8Array): boolean {
  return [0x50, 0x4b, 3, 4].every((byte, index) => bytes[index] === byte);
}

/**
 * A checkpoint as `torch.save` writes it since 1.6 (torch/serialization.py, _save): an archive with one
 * folder that holds the object as data.pkl and each storage as data/KEY. Throws data-loss or
 * invalid-argument, naming `file`.
 */
export function readZipCheckpoint(bytes: Uint8Array, file: string): TensorDict[] {
  const archive = openZip(bytes, file);
  const pickle = archive.names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined) throw foreignArchive(archive.names, file);
  const folder = pickle.slice(0, pickle.indexOf('/'));
  const byteOrder = `${folder}/byteorder`;
  if (archive.names.includes(byteOrder) && Buffer.from(archive.read(byteOrder)).toString() !== 'little') {
    throw unsuitable(file, 'its numbers are not little-endian');
  }
  const { value } = readPickle(archive.read(pickle), 0, createTorchHost(file), file);
  const read = new Map<string, Uint8Array>();
  return readStateDicts(
    value,
    ({ key, bytes: size, count }) => {
      const data = read.get(key) ?? archive.read(`${folder}/data/${key}`);
      read.set(key, data);
      if (data.length !== count * size) {
        throw damaged(file, `its storage ${key} has ${data.length} bytes, but should have ${count * size}`);
      }
      return data;
    },
    file,
  );
}

function foreignArchive(names: readonly string[], file: string): RondoError {
  const weights = names.find((name) => /\.(pth?|pt\.tar|ckpt|bin|safetensors)$/i.test(name));
  if (weights !== undefined) {
    return unsuitable(file, `it is an archive that holds ${weights}`, 'Unpack it first, and give that file.');
  }
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  if (has(/(^|\/)model\.weights\.h5$/)) return unsuitable(file, 'it is a model of Keras');
  if (has(/(^|\/)saved_model\.pb$/))
    return unsuitable(file, 'it is an archive with a SavedModel of TensorFlow');
  if (names.length > 0 && names.every((name) => name.endsWith('.npy'))) {
    return unsuitable(file, 'it is an archive of arrays of NumPy');
  }
  return unsuitable(file, 'it is an archive without the data.pkl of a checkpoint');
}
