import { RondoError } from '../../../runtime/errors.js';
import type { StateLayout, TensorSpec } from '../layout.js';
import { throughAveraged } from './averages.js';
import type { WeightTensor } from './weight-tensor.js';

/** How many names of each kind a message shows before it counts the rest. */
const shownNames = 20;

/**
 * Overwrites the parameters and running statistics in `state` (flat, by `layout`) with `tensors` of the same names,
 * which are torchvision's for the body. Batch counters and a checkpoint's moments (`optimizer.*`) are ignored; its moving
 * averages take the places of what they average. A file without a head leaves the head as it is; a file with one must
 * have all of it. torchvision's classifier (`fc.*`) is loaded where the network has one of the same shapes, that is a
 * linear head for as many classes; otherwise it is ignored.
 * Throws invalid-argument, naming every missing, extra and misshapen tensor, before anything is written.
 */
export function overlayPretrained(
  state: Float32Array,
  layout: StateLayout,
  given: ReadonlyMap<string, WeightTensor>,
  file = 'The weights file',
): void {
  const tensors = throughAveraged(given);
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
  if (problems.length > 0) {
    throw new RondoError('invalid-argument', `${file} does not fit this network: ${problems.join('; ')}.`, {
      remedy:
        'Give --arch and --head what the weights were trained with, or take a file with torchvision names.',
    });
  }
  for (const { name, offset } of wanted) {
    const { values } = tensors.get(name)!;
    if (values instanceof Float32Array) state.set(values, offset);
    else state.set(Float32Array.from(values, Number), offset);
  }
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
