import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { writeFunction } from './function-def.js';
import type { Graph } from './graph.js';
import { nest, writeNode } from './node-def.js';

/**
 * Field numbers are those of tensorflow/core/framework: graph.proto and versions.proto. The producer is
 * TensorFlow 2.21's TF_GRAPH_DEF_VERSION or older: what the library checks is only that it is not too old for
 * the operations used.
 */
const producer = 1500;

/** Writes a graph as the fields of a GraphDef message. */
export function writeGraphDef(writer: BinaryWriter, graph: Graph): void {
  for (const node of graph.nodes) nest(writer, 1, (inner) => writeNode(inner, node));
  if (graph.functions.length > 0) {
    nest(writer, 2, (library) => {
      for (const each of graph.functions) nest(library, 1, (inner) => writeFunction(inner, each));
    });
  }
  nest(writer, 4, (versions) => versions.tag(1, 0).int32(producer));
}
