import { output, type Tensor } from '../graph.js';
import { sizesAgree } from '../shape.js';
import { check, checkDType, checkRank } from './checks.js';

/**
 * Cross-entropy of logits [n, classes] against labels [n]: each sample's loss [n]. The node's second output is the
 * gradient of each loss with respect to its logits.
 */
export function crossEntropy(logits: Tensor<'float32'>, labels: Tensor<'int32'>): Tensor<'float32'> {
  const op = 'SparseSoftmaxCrossEntropyWithLogits';
  checkDType(op, ['float32'], logits);
  checkDType(op, ['int32'], labels);
  checkRank(op, 2, logits);
  checkRank(op, 1, labels);
  const fits = sizesAgree(logits.shape[0]!, labels.shape[0]!);
  check(fits, op, 'one label is wanted for each row', logits, labels);
  const attributes = {
    T: { kind: 'type', value: 'float32' },
    Tlabels: { kind: 'type', value: 'int32' },
  } as const;
  const outputs = [
    { dtype: 'float32', shape: labels.shape },
    { dtype: 'float32', shape: logits.shape },
  ] as const;
  return output(logits.node.graph.add({ op, inputs: [logits, labels], attributes, outputs }));
}
