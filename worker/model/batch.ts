/** n images as they are decoded, and what augments them. */
export interface ImageBatch {
  /** [n, rows, presize, 3]: the rows of each image that its transform reaches, and as many of all */
  readonly pixels: Uint8Array;
  /** [n] */
  readonly labels: Int32Array;
  /** [n, 8]: the projective transform from output to input pixel. */
  readonly transforms: Float32Array;
  /** [n, 2]: shift and scale in logit space. */
  readonly lighting: Float32Array;
}

/** n images as the network takes them. */
export interface NormalizedBatch {
  /** [n, size, size, 3] */
  readonly pixels: Float32Array;
  /** [n] */
  readonly labels: Int32Array;
}

export type Batch = ImageBatch | NormalizedBatch;
