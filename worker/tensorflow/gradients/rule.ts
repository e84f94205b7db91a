import type { Node, Tensor } from '../graph.js';

/**
 * How an operation passes gradients back. `gradient` is the loss's gradient with respect to the node's first
 * output; the answer has one entry for each input, and may leave out (undefined) those that `wanted` does not
 * ask for.
 */
export type GradientRule = (
  node: Node,
  gradient: Tensor,
  wanted: readonly boolean[],
) => readonly (Tensor | undefined)[];

export type GradientRules = Readonly<Record<string, GradientRule>>;
