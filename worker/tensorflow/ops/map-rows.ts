import type { DType } from '../dtype.js';
import { Graph, output, type Tensor } from '../graph.js';
import { check } from './checks.js';
import { argument } from './sources.js';

/**
 * What `build` makes of each row of `rows` [n, …], as one tensor [n, …]. Rows are worked on at the same time,
 * on the CPU.
 *
 * @param name unique among the graph's functions
 * @param build adds to the row's own graph; its result has a known shape, the same for every row
 */
export function mapRows<S extends DType, D extends DType>(
  name: string,
  rows: Tensor<S>,
  build: (row: Tensor<S>) => Tensor<D>,
): Tensor<D> {
  const op = 'MapDefun';
  check(rows.shape.length > 0, op, 'there are no rows', rows);
  const [count, ...rowShape] = rows.shape;
  const body = new Graph();
  const row = argument(body, 'row', rows.dtype, rowShape);
  const result = build(row);
  const graph = rows.node.graph;
  graph.functions.push({ name, body, inputs: [row], output: result });
  const attributes = {
    Targuments: { kind: 'types', value: [rows.dtype] },
    Tcaptured: { kind: 'types', value: [] },
    output_types: { kind: 'types', value: [result.dtype] },
    output_shapes: { kind: 'shapes', value: [result.shape] },
    f: { kind: 'function', value: name },
    max_intra_op_parallelism: { kind: 'int', value: 1 },
  } as const;
  const outputs = [{ dtype: result.dtype, shape: [count!, ...result.shape] }];
  return output(graph.add({ op, inputs: [rows], attributes, outputs }));
}
