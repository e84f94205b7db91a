import { type Graph, output, type Tensor } from '../graph.js';
import { checkDType, checkShape } from './checks.js';
import { constant, shapeOf } from './sources.js';

/** The number of the Philox generator in TensorFlow's list of algorithms. */
const philox = 1;

/** Numbers in [0, 1), one per element of `like`: a pure function of `key` [1], `stream` and the place. */
export function statelessUniform(
  graph: Graph,
  like: Tensor,
  key: Tensor<'uint64'>,
  stream: number,
): Tensor<'float32'> {
  const op = 'StatelessRandomUniformV2';
  checkDType(op, ['uint64'], key);
  checkShape(op, [1], key);
  const counter = constant(graph, 'uint64', [0, stream]);
  const attributes = {
    dtype: { kind: 'type', value: 'float32' },
    Tshape: { kind: 'type', value: 'int32' },
  } as const;
  const inputs = [shapeOf(like), key, counter, constant(graph, 'int32', philox)];
  return output(graph.add({ op, inputs, attributes, outputs: [{ dtype: 'float32', shape: like.shape }] }));
}
