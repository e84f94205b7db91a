import assert from 'node:assert/strict';
import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { dtypeCodes } from './dtype.js';
import type { GraphFunction, Tensor } from './graph.js';
import { nest, writeNode } from './node-def.js';

/** What operations call their output: inside a function it is part of an input's name. */
const outputNames: Readonly<Record<string, string>> = {
  AddV2: 'z',
  Cast: 'y',
  ConcatV2: 'output',
  Const: 'output',
  DecodeJpeg: 'image',
  Floor: 'y',
  ImageProjectiveTransformV3: 'transformed_images',
  Maximum: 'z',
  Minimum: 'z',
  Mul: 'z',
  Neg: 'y',
  RealDiv: 'z',
  Reshape: 'output',
  ScaleAndTranslate: 'resized_images',
  Shape: 'output',
  Slice: 'output',
  ExpandDims: 'output',
  Sub: 'z',
};

/**
 * Writes a function as the fields of a FunctionDef message (tensorflow/core/framework/function.proto and
 * op_def.proto). Its nodes may have one output each.
 */
export function writeFunction(writer: BinaryWriter, { name, body, inputs, output }: GraphFunction): void {
  const refer = ({ node, index }: Tensor): string => {
    if (inputs.some((input) => input.node === node)) return node.name;
    const outputName = outputNames[node.op];
    assert(outputName !== undefined && index === 0, `${node.op} is not known inside a function`);
    return `${node.name}:${outputName}:0`;
  };
  nest(writer, 1, (signature) => {
    signature.tag(1, 2).string(name);
    for (const { node, dtype } of inputs) {
      nest(signature, 2, (argument) =>
        argument.tag(1, 2).string(node.name).tag(3, 0).int32(dtypeCodes[dtype]),
      );
    }
    nest(signature, 3, (result) =>
      result.tag(1, 2).string('result').tag(3, 0).int32(dtypeCodes[output.dtype]),
    );
  });
  for (const node of body.nodes) {
    if (node.op !== 'Placeholder') nest(writer, 3, (inner) => writeNode(inner, node, refer));
  }
  nest(writer, 4, (entry) => entry.tag(1, 2).string('result').tag(2, 2).string(refer(output)));
}
