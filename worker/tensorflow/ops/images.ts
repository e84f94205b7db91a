import { output, type Tensor } from '../graph.js';
import { sizesAgree } from '../shape.js';
import { check, checkDType, checkRank, checkShape } from './checks.js';
import { constant } from './sources.js';

/**
 * Samples images [n, h, w, channels] bilinearly, reflecting at the borders: the pixel at (x, y) of a result
 * of side `size` comes from ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), k = c0 x + c1 y + 1, of its
 * image. `transforms` [n, 8], or [1, 8] for all, holds a0, a1, a2, b0, b1, b2, c0, c1.
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
  const [count, given] = [images.shape[0]!, transforms.shape[0]!];
  const fits = given === 1 || sizesAgree(count, given);
  check(fits, op, 'one transform is wanted for each image, or one for all', images, transforms);
  const graph = images.node.graph;
  const inputs = [images, transforms, constant(graph, 'int32', [size, size]), constant(graph, 'float32', 0)];
  const attributes = {
    dtype: { kind: 'type', value: 'float32' },
    interpolation: { kind: 'string', value: 'BILINEAR' },
    fill_mode: { kind: 'string', value: 'REFLECT' },
  } as const;
  const outputs = [{ dtype: 'float32', shape: [count, size, size, images.shape[3]!] }] as const;
  return output(graph.add({ op, inputs, attributes, outputs }));
}

/**
 * Part of images [n, h, w, channels] that are resized by a triangle filter as wide as the shrink factor, as
 * in PIL and torchvision. `scale` holds the new height / h and the new width / w; `translation` how far down
 * and to the right the resized image is moved before the first `side` rows and columns of it are taken.
 */
export function resizeTriangle(
  images: Tensor<'float32'> | Tensor<'uint8'>,
  side: number,
  scale: Tensor<'float32'>,
  translation: Tensor<'float32'>,
): Tensor<'float32'> {
  const op = 'ScaleAndTranslate';
  checkRank(op, 4, images);
  checkShape(op, [2], scale);
  const graph = images.node.graph;
  checkShape(op, [2], translation);
  const inputs = [images, constant(graph, 'int32', [side, side]), scale, translation];
  const attributes = {
    T: { kind: 'type', value: images.dtype },
    kernel_type: { kind: 'string', value: 'triangle' },
    antialias: { kind: 'bool', value: true },
  } as const;
  const outputs = [{ dtype: 'float32', shape: [images.shape[0]!, side, side, images.shape[3]!] }] as const;
  return output(graph.add({ op, inputs, attributes, outputs }));
}

/** A JPEG file's bytes as uint8 [h, w, 3]. Its EXIF orientation is not heeded. */
export function decodeJpeg(bytes: Tensor<'string'>): Tensor<'uint8'> {
  const op = 'DecodeJpeg';
  checkShape(op, [], bytes);
  const attributes = {
    channels: { kind: 'int', value: 3 },
    ratio: { kind: 'int', value: 1 },
    fancy_upscaling: { kind: 'bool', value: true },
    try_recover_truncated: { kind: 'bool', value: false },
    acceptable_fraction: { kind: 'float', value: 1 },
    // libvips decodes by the accurate method, so training has seen what that gives.
    dct_method: { kind: 'string', value: 'INTEGER_ACCURATE' },
  } as const;
  const outputs = [{ dtype: 'uint8', shape: [null, null, 3] }] as const;
  return output(bytes.node.graph.add({ op, inputs: [bytes], attributes, outputs }));
}
