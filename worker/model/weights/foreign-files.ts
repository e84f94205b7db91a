/** What a file is that holds no weights, or none that Rondo reads. */
export interface ForeignFile {
  /** Completes "FILE cannot be read: …". */
  readonly what: string;
  readonly remedy?: string;
}

type Kind<T> = readonly [test: T, what: string, remedy?: string];

const downloadAgain = 'Download the file itself: a link may lead to a page about it.';
const unpack = 'Unpack it first, and give the file of weights that is in it.';
const convert =
  'Load it with the program that wrote it, and save the weights under torchvision’s names as safetensors.';

/** Text by its beginning. */
const texts: readonly Kind<RegExp>[] = [
  [
    /^version https:\/\/git-lfs\.github\.com\//,
    'it is a Git LFS pointer, which stands in a clone for the file itself',
    'Fetch the file where it was cloned: git lfs pull.',
  ],
  [
    /^\s*(<!--[\s\S]*?-->\s*)?<(!doctype html|html|head|body)\b/i,
    'it is a web page (HTML), not the file that the link was to lead to',
    downloadAgain,
  ],
  [/^\s*<[?a-z]/i, 'it is XML text, such as the error that a storage service answers with', downloadAgain],
  [/^\s*[{[]/, 'it is JSON text, such as the index of a model in several files', downloadAgain],
];

/** As latin1, from the first byte unless it says where. */
const signatures: readonly Kind<string | { readonly at: number; readonly text: string }>[] = [
  ['\x1f\x8b', 'it is compressed with gzip', unpack],
  ['BZh', 'it is compressed with bzip2', unpack],
  ['\xfd7zXZ\0', 'it is compressed with xz', unpack],
  ['\x28\xb5\x2f\xfd', 'it is compressed with zstd', unpack],
  ['7z\xbc\xaf\x27\x1c', 'it is a 7-Zip archive', unpack],
  ['Rar!\x1a\x07', 'it is a RAR archive', unpack],
  [{ at: 257, text: 'ustar' }, 'it is a tar archive', unpack],
  ['\x89HDF\r\n\x1a\n', 'it is an HDF5 file, as Keras writes its weights', convert],
  [{ at: 4, text: 'TFL3' }, 'it is a TensorFlow Lite model', convert],
  // A protocol buffer: the version of the format, then its graphs.
  ['\x08\x01\x12', 'it is a SavedModel of TensorFlow', convert],
  ['\x93NUMPY', 'it is an array of NumPy', convert],
  ['GGUF', 'it is a GGUF file, which language models come in', convert],
  ['\x89PNG', 'it is a PNG image'],
  ['\xff\xd8\xff', 'it is a JPEG image'],
  ['%PDF', 'it is a PDF document'],
];

/**
 * At the end of the index file of a TensorFlow checkpoint (tensorflow/core/lib/io/format.h,
 * kTableMagicNumber).
 */
const tableMagic = '\x57\xfb\x80\x8b\x24\x75\x47\xdb';
const beginningBytes = 1024;

/** Null for what may be safetensors. */
export function describeForeignFile(bytes: Uint8Array): ForeignFile | null {
  const beginning = latin1(bytes.subarray(0, beginningBytes));
  // A safetensors file begins with a length below 2^27, and then a brace. What is too short to tell is taken
  // for damaged.
  if (beginning.length < 9 || (beginning.startsWith('\0\0\0\0', 4) && beginning[8] === '{')) return null;
  const signature = signatures.find(([test]) =>
    typeof test === 'string' ? beginning.startsWith(test) : beginning.startsWith(test.text, test.at),
  );
  if (signature !== undefined) return kindOf(signature);
  if (isOnnx(bytes)) return { what: 'it is an ONNX model', remedy: convert };
  if (latin1(bytes.subarray(-8)) === tableMagic) {
    return { what: 'it is the index of a TensorFlow checkpoint', remedy: convert };
  }
  if (bytes[0] === 0x80) return { what: 'it is a Python pickle, but no checkpoint of PyTorch' };
  return describeText(bytes.subarray(0, beginningBytes)) ?? neither;
}

const neither: ForeignFile = { what: 'it is neither safetensors nor a checkpoint of PyTorch' };

function describeText(beginning: Uint8Array): ForeignFile | null {
  const text = Buffer.from(beginning)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  if (text.includes('\0')) return null;
  const kind = texts.find(([test]) => test.test(text));
  if (kind !== undefined) return kindOf(kind);
  // The last character may be cut in two.
  if (text.slice(0, -1).includes('\ufffd') || !/^[\s\p{L}\p{N}\p{P}\p{S}]+.?$/u.test(text)) return null;
  const [line] = text.trim().split('\n');
  return { what: `it is a text that begins with "${line!.slice(0, 60).trim()}"`, remedy: downloadAgain };
}

/**
 * ModelProto of onnx.proto: its version as field 1, then the producer's name as field 2, a word; or the
 * graph, field 7.
 */
function isOnnx(bytes: Uint8Array): boolean {
  const [tag, version, next, length = 0] = bytes;
  if (tag !== 0x08 || version! > 32) return false;
  if (next === 0x3a) return true;
  if (next !== 0x12 || length > 64) return false;
  return /^[\w .-]+$/.test(latin1(bytes.subarray(4, 4 + length)));
}

function kindOf([, what, remedy]: Kind<unknown>): ForeignFile {
  return remedy === undefined ? { what } : { what, remedy };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
