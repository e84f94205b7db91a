import type { Graph, Tensor } from '../tensorflow/graph.js';
import { add, multiply, subtract } from '../tensorflow/ops/arithmetic.js';
import { gather, reshape } from '../tensorflow/ops/arrays.js';
import { placeholder } from '../tensorflow/ops/placeholder.js';
import { constant } from '../tensorflow/ops/sources.js';

/** How the samples of a micro-batch are mixed with each other: mixup, as plan/mixup.ts draws it. */
export interface Mixing {
  /** [n]: each sample's own share. */
  readonly shares: Tensor<'float32'>;
  /** [n]: the place of its partner, which has the rest. */
  readonly partners: Tensor<'int32'>;
}

/** Placeholders `shares` and `partners`. */
export function buildMixing(graph: Graph): Mixing {
  return {
    shares: placeholder(graph, 'shares', 'float32', [null]),
    partners: placeholder(graph, 'partners', 'int32', [null]),
  };
}

/** Each row of `x` [n, …] times its share, plus its partner's row times the rest. */
export function blend(x: Tensor<'float32'>, { shares, partners }: Mixing): Tensor<'float32'> {
  const own = reshape(shares, [null, ...x.shape.slice(1).map(() => 1)]);
  const rest = subtract(constant(x.node.graph, 'float32', 1), own);
  return add(multiply(x, own), multiply(gather(x, partners), rest));
}
