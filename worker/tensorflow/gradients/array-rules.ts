import assert from 'node:assert/strict';
import { reshapeLike, slice } from '../ops/arrays.js';
import { cast, identity } from '../ops/convert.js';
import { constantValues } from './constant-values.js';
import type { GradientRules } from './rule.js';

export const arrayRules: GradientRules = {
  Reshape: (node, gradient) => [reshapeLike(gradient, node.inputs[0]!), undefined],
  Identity: (_, gradient) => [identity(gradient)],
  Cast: (node, gradient) => [cast(gradient, node.inputs[0]!.dtype)],
  Pad: (node, gradient) => {
    const x = node.inputs[0]!;
    const paddings = constantValues(node.inputs[1]!);
    const begin = x.shape.map((_, axis) => paddings[2 * axis]!);
    return [slice(gradient, begin, x.shape), undefined];
  },
  ConcatV2: (node, gradient, wanted) => {
    const parts = node.inputs.slice(0, -1);
    const [axis] = constantValues(node.inputs.at(-1)!);
    let from = 0;
    const gradients = parts.map((part, index) => {
      const length = part.shape[axis!];
      assert(typeof length === 'number', `${node.name}: the sizes along dimension ${axis} must be known`);
      const begin = part.shape.map((_, k) => (k === axis ? from : 0));
      const size = part.shape.map((whole, k) => (k === axis ? length : whole));
      from += length;
      return wanted[index] ? slice(gradient, begin, size) : undefined;
    });
    return [...gradients, undefined];
  },
};
