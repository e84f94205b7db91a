import { RondoError } from '../../../runtime/errors.js';
import type { TensorSpec } from '../blocks.js';
import type { StateLayout } from '../layout.js';
import { throughAveraged } from './averages.js';
import type { TensorDict, WeightTensor } from './weight-tensor.js';

/** How many names of each kind a message shows before it counts the rest. */
const shownNames = 20;

/** The tensors of a file that make up a network. */
export interface NetworkWeights {
  /** By the network's own names. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** Where they lie in the file, such as "state_dict.module."; empty for names as the network has them. */
  readonly place: string;
  /** Other places that hold as much of the network. */
  readonly copies: readonly string[];
}

/**
 * Which of several dicts that fit is meant, by the last key that leads to it: others are averages, teachers
 * and the like.
 */
const preferredKeys = ['state_dict', 'model'];

/**
 * The dict of a file, and the prefix that all names in it share (`module.` and its like), under which most of
 * the network's tensors lie. What lies outside that prefix is left out.
 */
export function findNetwork(dicts: readonly TensorDict[], layout: StateLayout): NetworkWeights {
  const known = new Set([...layout.parameters, ...layout.statistics].map(({ name }) => name));
  const found = dicts.flatMap(({ path, tensors }) => {
    const averaged = throughAveraged(tensors);
    return [...countByPrefix(averaged.keys(), known)].map(([prefix, count]) => ({
      path,
      prefix,
      count,
      averaged,
    }));
  });
  const most = found.reduce((count, candidate) => Math.max(count, candidate.count), 0);
  const best = found.filter(({ count }) => count === most);
  const rank = (path: string) => {
    const index = preferredKeys.indexOf(path.slice(path.lastIndexOf('.') + 1));
    return index < 0 ? preferredKeys.length : index;
  };
  const [first, ...others] = best.toSorted((a, b) => rank(a.path) - rank(b.path));
  const { averaged, prefix } = first ?? { averaged: throughAveraged(dicts[0]!.tensors), prefix: '' };
  const inside = [...averaged].filter(([name]) => name.startsWith(prefix));
  return {
    tensors: new Map(inside.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
    place: first === undefined ? '' : describePlace(first),
    copies: others.map(describePlace),
  };
}

/** How many of the network's names there are behind each prefix. */
function countByPrefix(names: Iterable<string>, known: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (let start = 0; start >= 0; start = name.indexOf('.', start) + 1 || -1) {
      if (!known.has(name.slice(start))) continue;
      const prefix = name.slice(0, start);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  return counts;
}

function describePlace({ path, prefix }: { readonly path: string; readonly prefix: string }): string {
  return path === '' ? prefix : `${path}.${prefix}`;
}

/**
 * Overwrites the parameters and running statistics in `state` (flat, by `layout`) with the network that
 * `dicts` hold, whose names are torchvision's for the body. Throws as `fitNetwork` does, before anything is
 * written.
 */
export function overlayPretrained(
  state: Float32Array,
  layout: StateLayout,
  dicts: readonly TensorDict[],
  file = 'The weights file',
): void {
  const network = findNetwork(dicts, layout);
  for (const { name, offset } of fitNetwork(layout, network, file)) {
    const { values } = network.tensors.get(name)!;
    const isBig = values instanceof BigInt64Array || values instanceof BigUint64Array;
    state.set(isBig ? Float32Array.from(values, Number) : values, offset);
  }
}

/**
 * The network's tensors that are to be taken from a file. Batch counters and a checkpoint's moments
 * (`optimizer.*`) are ignored; its moving averages take the places of what they average. A file without a
 * head leaves the head as it is; a file with one must have all of it. torchvision's classifier (`fc.*`) is
 * taken where the network has one of the same shapes, that is a linear head for as many classes; otherwise it
 * is ignored. Throws invalid-argument that names every tensor that is missing, extra, misshapen or not
 * finite.
 */
export function fitNetwork(
  layout: StateLayout,
  { tensors, place }: NetworkWeights,
  file: string,
): readonly TensorSpec[] {
  const network = [...layout.parameters, ...layout.statistics];
  const classifier = network.filter(({ name }) => isClassifier(name));
  const fits = ({ name, shape }: TensorSpec) => tensors.get(name)?.shape.join() === shape.join();
  const takesClassifier = classifier.length > 0 && classifier.every(fits);
  const names = [...tensors.keys()].filter(
    (name) => !isIgnored(name) && (takesClassifier || !isClassifier(name)),
  );
  const hasHead = names.some(isHead);
  const wanted = network.filter(({ name }) =>
    isClassifier(name) ? takesClassifier : hasHead || !isHead(name),
  );
  const known = new Set(wanted.map(({ name }) => name));
  const problems = [
    describe(
      'missing',
      wanted.filter(({ name }) => !tensors.has(name)).map(({ name }) => name),
    ),
    describe(
      'not part of this network',
      names.filter((name) => !known.has(name)),
    ),
    describe(
      'of another shape',
      wanted.flatMap((spec) => describeShape(spec, tensors.get(spec.name))),
    ),
  ].filter((problem) => problem !== null);
  if (problems.length === 0) {
    refuseNotFinite(wanted, tensors, file);
    return wanted;
  }
  const where = place === '' ? '' : `, under "${place}"`;
  throw new RondoError(
    'invalid-argument',
    `${file} does not fit this network${where}: ${problems.join('; ')}.`,
    {
      remedy:
        'Give --arch and --head what the weights were trained with, or take a file with torchvision names.',
    },
  );
}

function refuseNotFinite(
  wanted: readonly TensorSpec[],
  tensors: NetworkWeights['tensors'],
  file: string,
): void {
  const broken = wanted.filter(({ name }) => !areFinite(tensors.get(name)!.values));
  if (broken.length === 0) return;
  const names = broken.map(({ name }) => name);
  throw new RondoError(
    'invalid-argument',
    `${file} has ${describe('weights that are NaN or infinite', names)}.`,
    {
      remedy: 'The training that wrote it had diverged: take an earlier checkpoint of it, or other weights.',
    },
  );
}

/** As float32, which is what they become. */
function areFinite(values: WeightTensor['values']): boolean {
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(Math.fround(Number(values[index])))) return false;
  }
  return true;
}

function isIgnored(name: string): boolean {
  return /^optimizer\.|num_batches_tracked$/.test(name);
}

function isClassifier(name: string): boolean {
  return name.startsWith('fc.');
}

function isHead(name: string): boolean {
  return name.startsWith('head.');
}

function describeShape({ name, shape }: TensorSpec, found: WeightTensor | undefined): string[] {
  if (found === undefined || found.shape.join() === shape.join()) return [];
  return [`${name} ([${found.shape.join(', ')}], expected [${shape.join(', ')}])`];
}

function describe(what: string, names: readonly string[]): string | null {
  if (names.length === 0) return null;
  const rest = names.length > shownNames ? ` and ${names.length - shownNames} more` : '';
  return `${what}: ${names.slice(0, shownNames).join(', ')}${rest}`;
}
