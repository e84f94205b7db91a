import assert from 'node:assert/strict';
import type { DType } from './dtype.js';
import type { Graph, Node, Tensor } from './graph.js';
import { keepTensors } from './kept-tensors.js';
import { slice } from './ops/arrays.js';
import { conv2d } from './ops/convolution.js';
import { assign, variable } from './ops/variables.js';

/** One of the runs in which a computation is done. */
export interface GraphPart<D extends DType> {
  /** What was wanted of this part, as its run computes it. */
  readonly tensor: Tensor<D>;
  /** Must run with it: they keep what later parts need, and free what none does. */
  readonly alongside: readonly Node[];
  /** Names of the placeholders that the run reads. */
  readonly feeds: ReadonlySet<string>;
}

/** What every part has for itself, beside what runs are given: it costs nothing and is the same in each. */
const sources: ReadonlySet<string> = new Set(['Const', 'ReadVariableOp', 'VarHandleOp']);
const isSource = ({ graph, op, name }: Node) => sources.has(op) || graph.given.has(name);

/**
 * What every part that needs it computes again. oneDNN gives a MaxPoolGrad its fast kernel, and that one's
 * bits, only where its MaxPool is in the same run; pooling again takes a tenth of the time by which the other
 * kernel is slower.
 */
const repeated: ReadonlySet<string> = new Set(['MaxPool']);

/**
 * Lets one computation be done in several runs, one for each of `wanted`, in their order. Part k computes
 * what none before it has, by the same operations, so its bits are those of a single run. What an earlier
 * part has computed is read from a variable of the session, which has taken it over without a copy and is
 * emptied after the last part that reads it. Between the parts nobody may change another variable that they
 * read, or what placeholders are fed.
 *
 * @param name of no other such computation in the graph
 */
export function cutIntoParts<D extends DType>(
  graph: Graph,
  name: string,
  wanted: readonly Tensor<D>[],
): GraphPart<D>[] {
  const nodes = [...graph.nodes];
  const partOf = divide(nodes, wanted);
  const kept = keepTensors(graph, name);
  /** A node as its own part computes it. */
  const computed = new Map<Node, Node>();

  /** Adds part `part`; answers what its run has in place of `wanted`. */
  function addPart(part: number, tensor: Tensor): { tensor: Tensor; feeds: Set<string>; layout: Node[] } {
    const feeds = new Set<string>();
    const here = new Map<Node, Node>();
    const placeHere = (node: Node): Node => {
      assert(node.controls.length === 0, `${node.name} waits for other nodes: it fits into no part`);
      const inputs = node.inputs.map(find);
      const placed = part === 0 ? node : graph.add({ ...node, inputs });
      here.set(node, placed);
      return placed;
    };
    const find = (input: Tensor): Tensor => {
      const { node, index } = input;
      const madeIn = partOf.get(node);
      if (graph.given.has(node.name)) feeds.add(node.name);
      if (madeIn === undefined) return input;
      const placed = here.get(node) ?? (repeated.has(node.op) ? placeHere(node) : undefined);
      if (placed !== undefined) return placed.outputs[index]!;
      return kept.read(computed.get(node)!.outputs[index]!, { madeIn, readIn: part });
    };
    for (const node of nodes) {
      if (partOf.get(node) === part) computed.set(node, placeHere(node));
    }
    const found = find(tensor);
    return { tensor: found, feeds, layout: holdLayout(graph, `${name}/${part}/layout`, [...here.values()]) };
  }

  const parts = wanted.map((tensor, part) => graph.scope(`${name}/${part}`, () => addPart(part, tensor)));
  return parts.map(({ tensor, feeds, layout }, part) => ({
    tensor: tensor as Tensor<D>,
    feeds,
    alongside: [...kept.assignments(part), ...layout],
  }));
}

/**
 * What a part of `nodes` must run for its convolutions to stay as they are. On a GPU TensorFlow turns a run to NCHW
 * unless half of its forward convolutions are of bfloat16 (grappler/optimizers/generic_layout_optimizer.cc). A
 * single run has those; a part of the backward pass has none, and would come to other bits in more time. So it is
 * given one, of one value, kept in a variable so that nothing prunes it.
 */
function holdLayout(graph: Graph, name: string, nodes: readonly Node[]): Node[] {
  const backward = nodes.find(
    ({ op, inputs }) => op.startsWith('Conv2DBackprop') && inputs[2]!.dtype === 'bfloat16',
  );
  if (backward === undefined || nodes.some(({ op }) => op === 'Conv2D')) return [];
  const one = slice(backward.inputs[2] as Tensor<'bfloat16'>, [0, 0, 0, 0], [1, 1, 1, 1]);
  const convolved = conv2d(one, one, { stride: 1, padding: 'VALID' });
  return [assign(variable(graph, name, 'bfloat16', convolved.shape), convolved)];
}

/** Gives each node that is needed, but the sources, to the first part that needs it. */
function divide(nodes: readonly Node[], wanted: readonly Tensor[]): ReadonlyMap<Node, number> {
  const partOf = new Map<Node, number>();
  wanted.forEach(({ node: goal }, part) => {
    const needed = new Set([goal]);
    for (const node of [...nodes].reverse()) {
      if (!needed.has(node) || partOf.has(node) || isSource(node)) continue;
      partOf.set(node, part);
      for (const input of node.inputs) needed.add(input.node);
    }
  });
  return partOf;
}
