import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { dtypeCodes } from './dtype.js';
import type { Attribute, Node, Tensor } from './graph.js';
import type { Shape } from './shape.js';

// Field numbers are those of tensorflow/core/framework: node_def.proto, attr_value.proto, tensor.proto,
// tensor_shape.proto.

/** One message nested in another: `field` of `writer`, filled by `write`. */
export function nest(writer: BinaryWriter, field: number, write: (inner: BinaryWriter) => void): void {
  writer.tag(field, 2).fork();
  write(writer);
  writer.join();
}

export function writeShape(writer: BinaryWriter, shape: Shape): void {
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
    case 'strings':
      nest(writer, 8, (tensor) => {
        tensor.tag(1, 0).int32(dtypeCodes.string);
        nest(tensor, 2, (inner) => writeShape(inner, attribute.shape));
        for (const value of attribute.values) tensor.tag(8, 2).bytes(value);
      });
      break;
    case 'ints':
      nest(writer, 1, (list) => {
        for (const value of attribute.value) list.tag(3, 0).int64(value);
      });
      break;
    case 'types':
      nest(writer, 1, (list) => {
        for (const value of attribute.value) list.tag(6, 0).int32(dtypeCodes[value]);
      });
      break;
    case 'shapes':
      nest(writer, 1, (list) => {
        for (const value of attribute.value) nest(list, 7, (shape) => writeShape(shape, value));
      });
      break;
    case 'function':
      nest(writer, 10, (named) => named.tag(1, 2).string(attribute.value));
      break;
  }
}

/** How a node of a graph names one of its inputs. */
function refer({ node, index }: Tensor): string {
  return index === 0 ? node.name : `${node.name}:${index}`;
}

/**
 * Writes a node as the fields of a NodeDef message; inside a function its inputs are named in another way.
 */
export function writeNode(writer: BinaryWriter, node: Node, referTo = refer): void {
  writer.tag(1, 2).string(node.name).tag(2, 2).string(node.op);
  for (const input of node.inputs) writer.tag(3, 2).string(referTo(input));
  for (const before of node.controls) writer.tag(3, 2).string(`^${before.name}`);
  if (node.device !== '') writer.tag(4, 2).string(node.device);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    nest(writer, 5, (entry) => {
      entry.tag(1, 2).string(name);
      nest(entry, 2, (value) => writeAttribute(value, attribute));
    });
  }
}
