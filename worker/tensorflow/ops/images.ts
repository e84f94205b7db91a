import { output, type Tensor } from '../graph.js';
import { sizesAgree } from '../shape.js';
import { check, checkDType, checkRank, checkShape } from './checks.js';
import { constant } from './sources.js';

/**
 * Samples images [n, h, w, channels] bilinearly, reflecting at the borders: the pixel at (x, y) of a result of side
 * `size` comes from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1, of its image.
 * `transforms` [n, 8] holds a0, a1, a2, b0, b1, b2, c0, c1.
 */
export function projectiveTransform(
  images: Tensor<'float32'>,
  transforms: Tensor<'float32'>,
  size: number,
): Tensor<'float32'> {
  const op = 'ImageProjectiveTransformV3';
  checkDType(op, ['float32'], images, transforms);
  checkRank(op, 4, images);
  checkShape(op, [null, 8], transforms);
  const fits = sizesAgree(images.shape[0]!, transforms.shape[0]!);
  check(fits, op, 'one transform is wanted for each image', images, transforms);
  const graph = images.node.graph;
  const inputs = [images, transforms, constant(graph, 'int32', [size, size]), constant(graph, 'float32', 0)];
  const attributes = {
    dtype: { kind: 'type', value: 'float32' },
    interpolation: { kind: 'string', value: 'BILINEAR' },
    fill_mode: { kind: 'string', value: 'REFLECT' },
  } as const;
  const outputs = [{ dtype: 'float32', shape: [images.shape[0]!, size, size, images.shape[3]!] }] as const;
  return output(graph.add({ op, inputs, attributes, outputs }));
}
