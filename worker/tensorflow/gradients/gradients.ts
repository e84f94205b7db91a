import assert from 'node:assert/strict';
import { type DType, floats } from '../dtype.js';
import type { Node, Tensor } from '../graph.js';
import { add } from '../ops/arithmetic.js';
import { check, checkShape } from '../ops/checks.js';
import { constant } from '../ops/sources.js';
import { arithmeticRules } from './arithmetic-rules.js';
import { arrayRules } from './array-rules.js';
import { networkRules } from './network-rules.js';
import type { GradientRules } from './rule.js';

const rules: GradientRules = { ...arithmeticRules, ...arrayRules, ...networkRules };

/**
 * Adds the reverse pass to the graph: the gradients of `loss`, a float32 scalar, with respect to each of
 * `wanted`, in their order and with their shapes. Only nodes between a wanted tensor and the loss take part,
 * so that the gradient of a frozen filter, or of the images, is never computed.
 *
 * @throws AssertionError when the loss does not depend on a wanted tensor, or an operation between has no
 *   rule.
 */
export function gradients(loss: Tensor<'float32'>, wanted: readonly Tensor[]): Tensor[] {
  checkShape('gradients', [], loss);
  const graph = loss.node.graph;
  const reached = reachable(graph.nodes, wanted);
  const sums = new Map<Tensor, Tensor>([[loss, constant(graph, 'float32', 1)]]);
  const backwards = graph.nodes.slice(0, graph.nodes.indexOf(loss.node) + 1).reverse();
  for (const node of backwards) {
    const gradient = node.outputs[0] && sums.get(node.outputs[0]);
    const asked = node.inputs.map((input) => reached.has(input));
    if (gradient === undefined || !asked.includes(true)) continue;
    const rule = rules[node.op];
    check(rule !== undefined, node.op, `${node.name} has no gradient rule`, node.inputs);
    const parts = graph.scope(`${node.name}/gradient`, () => rule(node, gradient, asked));
    node.inputs.forEach((input, index) => {
      if (!asked[index]) return;
      const part = parts[index];
      assert(part !== undefined, `${node.name}: the rule of ${node.op} has no gradient for input ${index}`);
      const sum = sums.get(input);
      sums.set(input, sum === undefined ? part : addUp(sum, part));
    });
  }
  return wanted.map((tensor) => {
    const gradient = sums.get(tensor);
    assert(gradient !== undefined, `the loss does not depend on ${tensor.node.name}`);
    checkShape('gradients', tensor.shape, gradient);
    assert.equal(gradient.dtype, tensor.dtype, `${tensor.node.name}: the gradient has another dtype`);
    return gradient;
  });
}

function addUp(a: Tensor, b: Tensor): Tensor {
  return add(a as Tensor<'float32'>, b as Tensor<'float32'>);
}

/**
 * The tensors that a gradient can flow through to one of `from`, and those themselves. Only first outputs
 * carry gradients, and only floats do: what follows from a shape or a comparison (dropout's mask, say) is
 * constant.
 */
function reachable(nodes: readonly Node[], from: readonly Tensor[]): ReadonlySet<Tensor> {
  const found = new Set(from);
  for (const node of nodes) {
    const first = node.outputs[0];
    const isFloat = first !== undefined && (floats as readonly DType[]).includes(first.dtype);
    if (isFloat && node.inputs.some((input) => found.has(input))) found.add(first);
  }
  return found;
}
