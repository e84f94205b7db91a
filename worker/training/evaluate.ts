import { cutMicroBatches, shareOf } from '../../plan/micro-batches.js';
import type { RunConfig } from '../../plan/run-config.js';
import type { BatchLoader } from './batches.js';
import type { Compute } from './compute.js';

/** Samples of one forward pass. Fixed, so that a sample's numbers do not depend on the world size. */
const evaluationBatch = 32;

/** One rank's share of the validation set; arrays run in parallel. */
export interface EvaluationShare {
  readonly sampleIds: Uint32Array;
  readonly losses: Float32Array;
  readonly predictions: Uint32Array;
  /** Of the sample's own label. */
  readonly probabilities: Float32Array;
}

/** Evaluates rank's share of the validation set with the running statistics and without augmentation. */
export async function evaluateShare(
  config: RunConfig,
  { rank, worldSize, onEvaluated }: { rank: number; worldSize: number; onEvaluated(images: number): void },
  compute: Compute,
  loader: BatchLoader,
  signal: AbortSignal,
): Promise<EvaluationShare> {
  const batches = cutMicroBatches(config.validCount, evaluationBatch);
  const share = shareOf(batches.length, rank, worldSize);
  const own = batches.slice(share.start, share.end);
  const first = own[0]?.start ?? 0;
  const count = (own.at(-1)?.end ?? first) - first;
  const result: EvaluationShare = {
    sampleIds: Uint32Array.from({ length: count }, (_, index) => first + index),
    losses: new Float32Array(count),
    predictions: new Uint32Array(count),
    probabilities: new Float32Array(count),
  };
  const requests = own.map(({ start, end }) => ({
    split: 'valid' as const,
    ids: result.sampleIds.slice(start - first, end - first),
    epoch: null,
  }));
  let at = 0;
  onEvaluated(at);
  for await (const batch of loader.load(requests, { depth: 2, signal })) {
    const { pixels, labels, transforms, lighting } = batch;
    const evaluated = await compute.evaluate({ pixels, labels, transforms, lighting });
    batch.release();
    result.losses.set(evaluated.losses, at);
    result.predictions.set(evaluated.predictions, at);
    result.probabilities.set(evaluated.probabilities, at);
    at += evaluated.losses.length;
    onEvaluated(at);
  }
  return result;
}
