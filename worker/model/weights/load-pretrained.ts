import { RondoError } from '../../../runtime/errors.js';
import type { StateLayout, TensorSpec } from '../layout.js';
import type { WeightTensor } from './weight-tensor.js';

/** How many names of each kind a message shows before it counts the rest. */
const shownNames = 20;

/**
 * Overwrites the parameters and running statistics in `state` (flat, by `layout`) with `tensors` of the same names,
 * which are torchvision's for the body. torchvision's classifier (`fc.*`), batch counters and a checkpoint's moments
 * (`optimizer.*`) are ignored. A file without a head leaves the head as it is; a file with one must have all of it.
 * Throws invalid-argument, naming every missing, extra and misshapen tensor, before anything is written.
 */
export function overlayPretrained(
  state: Float32Array,
  layout: StateLayout,
  tensors: ReadonlyMap<string, WeightTensor>,
  file = 'The weights',
): void {
  const names = [...tensors.keys()].filter((name) => !isIgnored(name));
  const hasHead = names.some(isHead);
  const wanted = [...layout.parameters, ...layout.statistics].filter(({ name }) => hasHead || !isHead(name));
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
        'Give --arch the architecture that the weights were trained with, or take a file with its torchvision names.',
    });
  }
  for (const { name, offset } of wanted) {
    const { values } = tensors.get(name)!;
    if (values instanceof Float32Array) state.set(values, offset);
    else state.set(Float32Array.from(values, Number), offset);
  }
}

function isIgnored(name: string): boolean {
  return /^(fc|optimizer)\.|num_batches_tracked$/.test(name);
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
