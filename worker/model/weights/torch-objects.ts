import { RondoError } from '../../../runtime/errors.js';
import { damaged } from './file-faults.js';
import type { PickleHost } from './pickle.js';
import { PythonObject } from './python-object.js';
import type { ElementType } from './weight-tensor.js';

/** Where a tensor's numbers lie: an array of `count` elements, beside the pickle under `key`. */
export interface Storage {
  readonly key: string;
  /** Null for elements that no weights are made of: complex, quantized and float8 ones. */
  readonly dtype: ElementType | null;
  /** Of one element. */
  readonly bytes: number;
  readonly count: number;
  /** Elements of the kept array that lie before this storage, which is then a view of it. */
  readonly viewOffset: number;
}

/** A tensor as the pickle describes it; offset and strides count elements. */
export interface StridedTensor {
  readonly storage: Storage;
  readonly dtype: ElementType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const storageTypes: Readonly<Record<string, readonly [ElementType | null, bytes: number]>> = {
  'torch.DoubleStorage': ['F64', 8],
  'torch.FloatStorage': ['F32', 4],
  'torch.HalfStorage': ['F16', 2],
  'torch.BFloat16Storage': ['BF16', 2],
  'torch.LongStorage': ['I64', 8],
  'torch.IntStorage': ['I32', 4],
  'torch.ShortStorage': ['I16', 2],
  'torch.CharStorage': ['I8', 1],
  'torch.ByteStorage': ['U8', 1],
  'torch.BoolStorage': ['BOOL', 1],
  'torch.ComplexDoubleStorage': [null, 16],
  'torch.ComplexFloatStorage': [null, 8],
  'torch.QInt32Storage': [null, 4],
  'torch.QInt8Storage': [null, 1],
  'torch.QUInt8Storage': [null, 1],
  'torch.QUInt4x2Storage': [null, 1],
  'torch.QUInt2x4Storage': [null, 1],
  'torch.storage.UntypedStorage': [null, 1],
};

/** Marks what the pickle's own tuples and dicts can never be taken for. */
const tag = Symbol('torch');
type Kind = 'tensor' | 'storage' | 'storage type' | 'callable';
type Tagged<T> = T & { readonly [tag]: Kind };

type Callable = (args: readonly unknown[], file: string) => unknown;

/** torch/_utils.py, torch/_tensor.py and collections, as far as state dicts need them. */
const callables: Readonly<Record<string, Callable>> = {
  'collections.OrderedDict': buildDict,
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': rebuildParameter,
  'torch._utils._rebuild_parameter_with_state': rebuildParameter,
  // (function, type, its arguments, attributes): a tensor that somebody has set attributes on.
  'torch._tensor._rebuild_from_type_v2': ([rebuild, , args], file) => callObject(rebuild, args, file),
};

/** What starts programs or runs code. Python would do it as soon as the file is loaded. */
const attack =
  /^((posix|nt|subprocess|pty|runpy|commands|popen2)\.|os\.(system|popen|exec|spawn|posix_spawn|fork|kill|remove|unlink|rmdir|startfile)|(builtins|__builtin__)\.(eval|exec|execfile|compile|open|__import__)$)/;

/**
 * What a checkpoint's pickle may build: storages, tensors and OrderedDicts. Whatever else it names is a
 * `PythonObject`, whose class is not looked up and of which nothing is run; only names that serve to run
 * programs throw invalid-argument.
 */
export function createTorchHost(file: string): PickleHost {
  return {
    resolve(module, name) {
      const global = `${module}.${name}`;
      const type = Object.hasOwn(storageTypes, global) ? storageTypes[global] : undefined;
      if (type !== undefined) return tagged('storage type', { dtype: type[0], bytes: type[1] });
      const call = Object.hasOwn(callables, global) ? callables[global] : undefined;
      if (call !== undefined) return tagged('callable', { call });
      if (attack.test(global)) throw malicious(file, global);
      return new PythonObject(global);
    },
    call: (callable, args) => callObject(callable, args, file),
    load(id) {
      const [what, type, key, , count, view] = Array.isArray(id) ? id : [];
      // Before 1.6: a module, beside the source of its class.
      if (what === 'module') return type;
      if (what === 'storage' && type instanceof PythonObject) return type;
      const known = is<Pick<Storage, 'dtype' | 'bytes'>>(type, 'storage type') && typeof key === 'string';
      if (what !== 'storage' || !known || !isIndex(count)) return misfit(file, 'an unknown kind of storage');
      // Before 1.6: [key, offset, count] of a storage within another; its own key and count are the whole's.
      const [offset, length] = Array.isArray(view) ? view.slice(1) : [0, count];
      if (!isIndex(offset) || !isIndex(length)) return misfit(file, 'a view of a storage without its place');
      const { dtype, bytes } = type;
      return tagged<Storage>('storage', { key, dtype, bytes, count: length, viewOffset: offset });
    },
  };
}

function callObject(callable: unknown, args: unknown, file: string): unknown {
  if (callable instanceof PythonObject) return new PythonObject(callable.name);
  if (!is<{ call: Callable }>(callable, 'callable') || !Array.isArray(args))
    throw damaged(file, 'its pickle calls what is no function');
  return callable.call(args, file);
}

export function isTensor(value: unknown): value is StridedTensor {
  return is<StridedTensor>(value, 'tensor');
}

export function isStorage(value: unknown): value is Storage {
  return is<Storage>(value, 'storage');
}

/** (storage, offset, size, stride, …) */
function rebuildTensor([storage, offset, shape, strides]: readonly unknown[], file: string): unknown {
  if (storage instanceof PythonObject) return new PythonObject('torch.Tensor');
  if (!is<Storage>(storage, 'storage') || !isIndex(offset))
    return misfit(file, 'a tensor without its storage');
  if (!isIndices(shape) || !isIndices(strides) || shape.length !== strides.length) {
    return misfit(file, 'a tensor without its shape');
  }
  if (storage.dtype === null) return new PythonObject('torch.Tensor');
  return tagged<StridedTensor>('tensor', { storage, dtype: storage.dtype, offset, shape, strides });
}

/** (tensor, requires_grad, …); a tensor of an unknown kind stays one. */
function rebuildParameter([data]: readonly unknown[], file: string): unknown {
  return isTensor(data) || data instanceof PythonObject ? data : misfit(file, 'a parameter without a tensor');
}

/** OrderedDict(), or OrderedDict([[key, value], …]) as Python 2 wrote it. */
function buildDict([items = []]: readonly unknown[], file: string): unknown {
  if (!Array.isArray(items) || !items.every((item) => Array.isArray(item) && item.length === 2)) {
    return misfit(file, 'an OrderedDict of no pairs');
  }
  return new Map(items as [unknown, unknown][]);
}

function malicious(file: string, global: string): RondoError {
  return new RondoError(
    'invalid-argument',
    `${file} cannot be read: it asks for ${global}, which runs programs.`,
    {
      remedy:
        'No checkpoint needs that: do not load the file with PyTorch, and take another from a source that you trust.',
    },
  );
}

function misfit(file: string, what: string): never {
  throw damaged(file, `its pickle has ${what}`);
}

function tagged<T>(kind: Kind, value: T): Tagged<T> {
  return Object.freeze({ ...value, [tag]: kind });
}

function is<T>(value: unknown, kind: Kind): value is Tagged<T> {
  return typeof value === 'object' && value !== null && (value as Partial<Tagged<object>>)[tag] === kind;
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isIndices(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isIndex);
}
