import { damaged, unsuitable } from './file-faults.js';
import type { PickleHost } from './pickle.js';
import type { ElementType } from './weight-tensor.js';

/** Where a tensor's numbers lie: an array of `count` elements, beside the pickle under `key`. */
export interface Storage {
  readonly key: string;
  readonly dtype: ElementType;
  /** Of one element. */
  readonly bytes: number;
  readonly count: number;
  /** Elements of the kept array that lie before this storage, which is then a view of it. */
  readonly viewOffset: number;
}

/** A tensor as the pickle describes it; offset and strides count elements. */
export interface StridedTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const storageTypes: Readonly<Record<string, readonly [ElementType, bytes: number]>> = {
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
};

/** Marks what the pickle's own tuples and dicts can never be taken for. */
const tag = Symbol('torch');
type Kind = 'tensor' | 'storage' | 'storage type' | 'callable';
type Tagged<T> = T & { readonly [tag]: Kind };

type Callable = (args: readonly unknown[], file: string) => unknown;

/** torch/_utils.py and collections, as far as state dicts need them. */
const callables: Readonly<Record<string, Callable>> = {
  'collections.OrderedDict': buildDict,
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': ([data], file) =>
    isTensor(data) ? data : misfit(file, 'a parameter without a tensor'),
};

/**
 * What a checkpoint's pickle may build: storages, tensors and OrderedDicts. Anything else that it names throws
 * invalid-argument with that name; nothing is imported or run.
 */
export function createTorchHost(file: string): PickleHost {
  return {
    resolve(module, name) {
      const global = `${module}.${name}`;
      const type = Object.hasOwn(storageTypes, global) ? storageTypes[global] : undefined;
      if (type !== undefined) return tagged('storage type', { dtype: type[0], bytes: type[1] });
      const call = Object.hasOwn(callables, global) ? callables[global] : undefined;
      if (call !== undefined) return tagged('callable', { call });
      throw unsuitable(file, `it asks for ${global}, and a checkpoint may build nothing but tensors`);
    },
    call(callable, args) {
      if (!is<{ call: Callable }>(callable, 'callable'))
        throw damaged(file, 'its pickle calls what is no function');
      return callable.call(args, file);
    },
    load(id) {
      const [what, type, key, , count, view] = Array.isArray(id) ? id : [];
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

export function isTensor(value: unknown): value is StridedTensor {
  return is<StridedTensor>(value, 'tensor');
}

/** (storage, offset, size, stride, …) */
function rebuildTensor([storage, offset, shape, strides]: readonly unknown[], file: string): unknown {
  if (!is<Storage>(storage, 'storage') || !isIndex(offset))
    return misfit(file, 'a tensor without its storage');
  if (!isIndices(shape) || !isIndices(strides) || shape.length !== strides.length) {
    return misfit(file, 'a tensor without its shape');
  }
  return tagged<StridedTensor>('tensor', { storage, offset, shape, strides });
}

/** OrderedDict(), or OrderedDict([[key, value], …]) as Python 2 wrote it. */
function buildDict([items = []]: readonly unknown[], file: string): unknown {
  if (!Array.isArray(items) || !items.every((item) => Array.isArray(item) && item.length === 2)) {
    return misfit(file, 'an OrderedDict of no pairs');
  }
  return new Map(items as [unknown, unknown][]);
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
