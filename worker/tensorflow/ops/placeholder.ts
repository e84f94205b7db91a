import type { FedDType } from '../dtype.js';
import type { Graph, Tensor } from '../graph.js';
import type { Shape } from '../shape.js';
import { reshape } from './arrays.js';
import { check } from './checks.js';
import { bitcast } from './convert.js';
import { argument } from './sources.js';

/**
 * A value that each run is given by name. At most one dimension may be unknown; of uint8, only the first, and the others hold
 * whole words of four bytes.
 *
 * On its way into the session it is int32, whatever it holds: tfjs-node's addon copies arrays of any other type to the GPU,
 * where there is one, and back to the host before the session takes them to the GPU for good (CreateTensor and RunSavedModel in
 * binding/tfjs_backend.cc). To see the words as another type again costs nothing.
 */
export function placeholder<D extends FedDType>(
  graph: Graph,
  name: string,
  dtype: D,
  shape: Shape,
): Tensor<D> {
  const unknown = shape.filter((size) => size === null).length;
  check(
    unknown <= 1,
    'Placeholder',
    `${name} has ${unknown} unknown dimensions; one at most can be inferred`,
  );
  const given = placeWords(graph, name, dtype, shape);
  graph.given.set(given.node.name, { dtype, shape, words: wordsOf(given).node.name });
  return given as Tensor<D>;
}

function placeWords(graph: Graph, name: string, dtype: FedDType, shape: Shape): Tensor {
  if (dtype === 'int32') return argument(graph, name, 'int32', shape);
  if (dtype === 'float32') return bitcast(argument(graph, `${name}/words`, 'int32', shape), 'float32', name);
  const [first = null, ...others] = shape;
  const bytes = others.reduce<number>((product, size) => product * (size ?? Number.NaN), 1);
  check(
    bytes % 4 === 0,
    'Placeholder',
    `${name}: bytes beyond the first dimension must come in words of four`,
  );
  return reshape(
    bitcast(argument(graph, `${name}/words`, 'int32', [first, bytes / 4]), 'uint8'),
    shape,
    name,
  );
}

/** The placeholder under a given value. */
function wordsOf(given: Tensor): Tensor {
  return given.node.op === 'Placeholder' ? given : wordsOf(given.node.inputs[0]!);
}
