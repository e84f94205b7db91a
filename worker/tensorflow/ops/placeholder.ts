import type { FedDType } from '../dtype.js';
import type { Graph, Tensor } from '../graph.js';
import { elementCount, type Shape } from '../shape.js';
import { reshape } from './arrays.js';
import { check } from './checks.js';
import { bitcast } from './convert.js';
import { argument } from './sources.js';

/**
 * A value that each run is given by name. At most one dimension may be unknown; of uint8, only the first.
 *
 * On its way into the session it is int32, whatever it holds: tfjs-node's addon copies arrays of any other
 * type to the GPU, where there is one, and back to the host before the session takes them to the GPU for good
 * (CreateTensor and RunSavedModel in binding/tfjs_backend.cc). To see the words as another type again costs
 * nothing. Only bytes that do not come in words of four, after the first dimension, travel as they are.
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
  const given = place(graph, name, dtype, shape);
  const { node, dtype: fed } = placeholderUnder(given);
  graph.given.set(given.node.name, { dtype, shape, fed: fed as FedDType, placeholder: node.name });
  return given as Tensor<D>;
}

function place(graph: Graph, name: string, dtype: FedDType, shape: Shape): Tensor {
  if (dtype === 'int32') return argument(graph, name, 'int32', shape);
  if (dtype === 'float32') return bitcast(argument(graph, `${name}/words`, 'int32', shape), 'float32', name);
  const [first = null, ...others] = shape;
  const bytes = elementCount(others);
  check(bytes !== null, 'Placeholder', `${name}: of uint8, only the first dimension may be unknown`);
  if (bytes % 4 !== 0) return argument(graph, name, 'uint8', shape);
  return reshape(
    bitcast(argument(graph, `${name}/words`, 'int32', [first, bytes / 4]), 'uint8'),
    shape,
    name,
  );
}

function placeholderUnder(given: Tensor): Tensor {
  return given.node.op === 'Placeholder' ? given : placeholderUnder(given.node.inputs[0]!);
}
