import { unsuitable } from './file-faults.js';
import { PythonObject } from './python-object.js';
import { decodeTensor } from './strided-tensor.js';
import { isTensor, type Storage } from './torch-objects.js';
import type { TensorDict, WeightTensor } from './weight-tensor.js';

/** Deeper than any training script nests what it saves, and far from the end of the call stack. */
const deepest = 32;
/** Attributes of torch.nn.Module whose own name is no part of a tensor's. */
const transparent = new Set(['_parameters', '_buffers', '_modules']);

/**
 * Every dict of tensors by name that a checkpoint's root object holds: itself, and those nested in its dicts,
 * lists and objects. A pickled module counts as its state dict. What is no tensor is left out. `bytesOf`
 * gives a storage's bytes. Throws invalid-argument when there are no tensors.
 */
export function readStateDicts(
  root: unknown,
  bytesOf: (storage: Storage) => Uint8Array,
  file: string,
): TensorDict[] {
  const dicts: TensorDict[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: readonly string[]) => {
    if (path.length > deepest || seen.has(value)) return;
    const entries = value instanceof PythonObject ? moduleEntries(value) : entriesOf(value);
    if (entries.length === 0) return;
    seen.add(value);
    const tensors = new Map<string, WeightTensor>();
    for (const [key, item] of entries) {
      const name = String(key);
      if (isTensor(item)) tensors.set(name, decodeTensor(name, item, bytesOf(item.storage), file));
    }
    if (tensors.size > 0) dicts.push({ path: path.join('.'), tensors });
    for (const [key, item] of entries) {
      if (typeof item === 'object' && item !== null && !isTensor(item)) visit(item, [...path, String(key)]);
    }
  };
  visit(root, []);
  if (dicts.length === 0) throw unsuitable(file, 'it holds no tensors by name');
  return dicts;
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (value instanceof Map) return [...value];
  return Array.isArray(value) ? [...value.entries()] : [];
}

/** An object's items and attributes; a module's tensors by the names that its state dict would give them. */
function moduleEntries(root: PythonObject): [unknown, unknown][] {
  const entries: [unknown, unknown][] = [];
  const seen = new Set<unknown>();
  const visit = (object: PythonObject, prefix: string, depth: number) => {
    if (depth > deepest || seen.has(object)) return;
    seen.add(object);
    for (const [key, item] of attributesOf(object)) {
      const parts = transparent.has(String(key)) && item instanceof Map ? [...item] : [[key, item] as const];
      for (const [name, part] of parts) {
        if (part instanceof PythonObject) visit(part, `${prefix}${name}.`, depth + 1);
        else entries.push([`${prefix}${name}`, part]);
      }
    }
  };
  visit(root, '', 0);
  return entries;
}

/** Those in __slots__ come in a second dict. */
function attributesOf({ items, state }: PythonObject): [unknown, unknown][] {
  const dicts = Array.isArray(state) ? state : [state];
  return [...items, ...dicts.flatMap((dict) => (dict instanceof Map ? [...dict] : []))];
}
