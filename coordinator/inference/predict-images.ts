import type { RunConfig } from '../../plan/run-config.js';
import type { JobOptions } from '../launch/run-job.js';

/** What the network says of one image. */
export interface Prediction {
  readonly kind: 'prediction';
  readonly image: string;
  /** The likeliest first. */
  readonly top: readonly { readonly class: string; readonly probability: number }[];
}

export interface UnreadableImage {
  readonly kind: 'unreadable';
  readonly image: string;
  readonly reason: string;
}

export interface PredictOptions {
  readonly config: RunConfig;
  /** Path of a checkpoint's tensors. */
  readonly state: string;
  readonly files: readonly string[];
  readonly batch: number;
  readonly top: number;
  /** With test-time augmentation. */
  readonly tta: boolean;
  onResult(result: Prediction | UnreadableImage): void;
  onProgress(progress: { readonly done: number; readonly total: number }): void;
  readonly signal: AbortSignal;
  runJob(name: string, request: object, options: JobOptions): Promise<unknown>;
}

/** What worker/jobs/predict.ts sends. */
type PredictItem =
  | {
      readonly index: number;
      readonly top: readonly { readonly label: number; readonly probability: number }[];
    }
  | { readonly index: number; readonly reason: string };

/**
 * Classifies the files; `onResult` is called with each result, in their order. Resolves to the seconds that
 * the network took.
 */
export async function predictImages(o: PredictOptions): Promise<number> {
  const { config, state, files, batch, tta } = o;
  const { classes } = config;
  const top = Math.min(o.top, classes.length);
  const result = await o.runJob(
    'predict',
    { config, state, files, batch, top, tta },
    {
      signal: o.signal,
      onProgress: o.onProgress,
      onItem(item) {
        const told = item as PredictItem;
        const image = files[told.index]!;
        if ('reason' in told) return o.onResult({ kind: 'unreadable', image, reason: told.reason });
        const named = told.top.map(({ label, probability }) => ({ class: classes[label]!, probability }));
        o.onResult({ kind: 'prediction', image, top: named });
      },
    },
  );
  return (result as { seconds: number }).seconds;
}
