import { type Graph, output, type Tensor } from '../graph.js';
import { sizesAgree } from '../shape.js';
import { logSoftmax } from './activations.js';
import { multiply, negate } from './arithmetic.js';
import { check, checkDType, checkRank } from './checks.js';
import { sum } from './reductions.js';
import { constant } from './sources.js';

/**
 * Cross-entropy of logits [n, classes] against labels [n]: each sample's loss [n]. Made from a log-softmax,
 * because TensorFlow's own operation adds up in no fixed order on a GPU, and refuses to where kernels must be
 * deterministic.
 */
export function crossEntropy(logits: Tensor<'float32'>, labels: Tensor<'int32'>): Tensor<'float32'> {
  checkRank('CrossEntropy', 2, logits);
  checkRank('CrossEntropy', 1, labels);
  const fits = sizesAgree(logits.shape[0]!, labels.shape[0]!);
  check(fits, 'CrossEntropy', 'one label is wanted for each row', logits, labels);
  const chosen = oneHot(logits.node.graph, labels, logits.shape[1]!);
  return negate(sum(multiply(chosen, logSoftmax(logits)), [1]));
}

/** [n, classes]: 1 in each label's column, else 0. */
function oneHot(graph: Graph, labels: Tensor<'int32'>, classes: number): Tensor<'float32'> {
  checkDType('OneHot', ['int32'], labels);
  const [on, off] = [1, 0].map((value) => constant(graph, 'float32', value));
  const attributes = {
    T: { kind: 'type', value: 'float32' },
    TI: { kind: 'type', value: 'int32' },
    axis: { kind: 'int', value: -1 },
  } as const;
  const outputs = [{ dtype: 'float32', shape: [labels.shape[0]!, classes] }] as const;
  return output(
    graph.add({
      op: 'OneHot',
      inputs: [labels, constant(graph, 'int32', classes), on!, off!],
      attributes,
      outputs,
    }),
  );
}
