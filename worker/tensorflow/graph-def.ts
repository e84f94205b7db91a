import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { dtypeCodes } from './dtype.js';
import type { Attribute, Graph, Node } from './graph.js';
import type { Shape } from './shape.js';

/**
 * Field numbers are those of tensorflow/core/framework: graph.proto, node_def.proto, attr_value.proto, tensor.proto,
 * tensor_shape.proto, versions.proto. The producer is TensorFlow 2.21's TF_GRAPH_DEF_VERSION or older: what the
 * library checks is only that it is not too old for the operations used.
 */
const producer = 1500;

/** One message nested in another: `field` of `writer`, filled by `write`. */
export function nest(writer: BinaryWriter, field: number, write: (inner: BinaryWriter) => void): void {
  writer.tag(field, 2).fork();
  write(writer);
  writer.join();
}

function writeShape(writer: BinaryWriter, shape: Shape): void {
  for (const size of shape) nest(writer, 2, (dimension) => dimension.tag(1, 0).int64(size ?? -1));
}

function writeAttribute(writer: BinaryWriter, attribute: Attribute): void {
  switch (attribute.kind) {
    case 'string':
      writer.tag(2, 2).string(attribute.value);
      break;
    case 'int':
      writer.tag(3, 0).int64(attribute.value);
      break;
    case 'float':
      writer.tag(4, 5).float(attribute.value);
      break;
    case 'bool':
      writer.tag(5, 0).bool(attribute.value);
      break;
    case 'type':
      writer.tag(6, 0).int32(dtypeCodes[attribute.value]);
      break;
    case 'shape':
      nest(writer, 7, (inner) => writeShape(inner, attribute.value));
      break;
    case 'tensor':
      nest(writer, 8, (tensor) => {
        tensor.tag(1, 0).int32(dtypeCodes[attribute.dtype]);
        nest(tensor, 2, (inner) => writeShape(inner, attribute.shape));
        tensor.tag(4, 2).bytes(attribute.bytes);
      });
      break;
    case 'ints':
      nest(writer, 1, (list) => {
        for (const value of attribute.value) list.tag(3, 0).int64(value);
      });
      break;
  }
}

function writeNode(writer: BinaryWriter, node: Node): void {
  writer.tag(1, 2).string(node.name).tag(2, 2).string(node.op);
  for (const input of node.inputs) {
    const name = input.index === 0 ? input.node.name : `${input.node.name}:${input.index}`;
    writer.tag(3, 2).string(name);
  }
  for (const before of node.controls) writer.tag(3, 2).string(`^${before.name}`);
  if (node.device !== '') writer.tag(4, 2).string(node.device);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    nest(writer, 5, (entry) => {
      entry.tag(1, 2).string(name);
      nest(entry, 2, (value) => writeAttribute(value, attribute));
    });
  }
}

/** Writes a graph as the fields of a GraphDef message. */
export function writeGraphDef(writer: BinaryWriter, graph: Graph): void {
  for (const node of graph.nodes) nest(writer, 1, (inner) => writeNode(inner, node));
  nest(writer, 4, (versions) => versions.tag(1, 0).int32(producer));
}
