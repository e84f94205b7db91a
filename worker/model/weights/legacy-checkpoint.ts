import { type ByteReader, readBytes } from './byte-reader.js';
import { damaged, unsuitable } from './file-faults.js';
import { type PickleHost, readPickle } from './pickle.js';
import { readStateDicts } from './state-dict.js';
import { createTorchHost, isStorage, type Storage } from './torch-objects.js';
import type { TensorDict } from './weight-tensor.js';

/**
 * The pickle of MAGIC_NUMBER in torch/serialization.py, with which such a file begins unless it has another
 * protocol.
 */
const magicPickle = Uint8Array.of(
  0x80,
  2,
  0x8a,
  10,
  0x6c,
  0xfc,
  0x9c,
  0x46,
  0xf9,
  0x20,
  0x6a,
  0xa8,
  0x50,
  0x19,
  0x2e,
);
const magicNumber = 0x1950a86a20f9469cfc6cn;
/** Within these first bytes other protocols have the number, after the length of their first frame. */
const magicWithin = 32;
const protocolVersion = 1001;

/** Also when it is cut short within its first bytes. */
export function isLegacyCheckpoint(bytes: Uint8Array): boolean {
  const beginning = Buffer.from(bytes.subarray(0, magicWithin));
  if (beginning.includes(Buffer.from(magicPickle.subarray(2, 14)))) return bytes[0] === 0x80;
  return (
    bytes.length > 0 && magicPickle.subarray(0, bytes.length).every((byte, index) => bytes[index] === byte)
  );
}

/**
 * A checkpoint as `torch.save` wrote it before 1.6 (torch/serialization.py, _legacy_save): the pickles of a
 * magic number, a version, the writer's sizes and the object; then a pickle of the storages' keys and, in
 * that order, each storage's length and elements. Throws data-loss or invalid-argument, naming `file`.
 */
export function readLegacyCheckpoint(bytes: Uint8Array, file: string): TensorDict[] {
  const torch = createTorchHost(file);
  /** Bytes of an element of each storage: the file itself gives only their number. */
  const elementBytes = new Map<string, number>();
  const host: PickleHost = {
    ...torch,
    load(id) {
      const loaded = torch.load(id);
      if (isStorage(loaded)) elementBytes.set(loaded.key, loaded.bytes);
      return loaded;
    },
  };
  let at = 0;
  const next = () => {
    const { value, end } = readPickle(bytes, at, host, file);
    at = end;
    return value;
  };
  if (next() !== magicNumber) throw unsuitable(file, 'it is a Python pickle, but no checkpoint of PyTorch');
  const version = next();
  if (version !== protocolVersion) throw unsuitable(file, `its protocol version is ${String(version)}`);
  const system = next();
  if (!(system instanceof Map) || system.get('little_endian') !== true) {
    throw unsuitable(file, 'its numbers are not little-endian');
  }
  const root = next();
  const keys = next();
  const storages = readStorages(readBytes(bytes, at, file), keys, elementBytes, file);
  return readStateDicts(root, (storage) => sliceStorage(storage, storages, file), file);
}

function readStorages(
  reader: ByteReader,
  keys: unknown,
  elementBytes: ReadonlyMap<unknown, number>,
  file: string,
): Map<unknown, Uint8Array> {
  if (!Array.isArray(keys)) throw damaged(file, 'it does not list its storages');
  return new Map(
    keys.map((key: unknown) => {
      const size = elementBytes.get(key);
      if (size === undefined)
        throw unsuitable(file, `its storage ${String(key)} has elements of an unknown type`);
      return [key, reader.take(reader.size() * size)];
    }),
  );
}

function sliceStorage(
  { key, bytes, count, viewOffset }: Storage,
  storages: ReadonlyMap<unknown, Uint8Array>,
  file: string,
): Uint8Array {
  const whole = storages.get(key);
  const end = (viewOffset + count) * bytes;
  if (whole === undefined || end > whole.length) throw damaged(file, `its storage ${key} is not whole`);
  return whole.subarray(viewOffset * bytes, end);
}
