/** A micro-batch on its way through a step; its memory may be reused once released. */
export interface LoadedBatch {
  readonly ids: Uint32Array;
  readonly pixels: Uint8Array;
  readonly labels: Int32Array;
  readonly transforms: Float32Array;
  readonly lighting: Float32Array;
  release(): void;
}

export interface BatchRequest {
  readonly split: 'train' | 'valid';
  readonly ids: Uint32Array;
  /** Decides the augmentation; null for none. */
  readonly epoch: number | null;
  /** Which of plan/test-time.ts's views of the images; then there is no epoch. */
  readonly view?: number;
}

/** What training needs of the data: the requested micro-batches, in order, read ahead. */
export interface BatchLoader {
  load(
    requests: Iterable<BatchRequest>,
    options: { depth: number; signal: AbortSignal },
  ): AsyncIterable<LoadedBatch>;
}
