import type { PredictRequest, predictJob } from '../../proto/jobs.js';
import type { JobRunner } from '../launch/run-job.js';

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

export interface PredictOptions extends PredictRequest {
  onResult(result: Prediction | UnreadableImage): void;
  onProgress(progress: { readonly done: number; readonly total: number }): void;
  readonly signal: AbortSignal;
  readonly runJob: JobRunner<typeof predictJob>;
}

/**
 * Classifies the files; `onResult` is called with each result, in their order. Resolves to the seconds that
 * the network took.
 */
export async function predictImages(o: PredictOptions): Promise<number> {
  const { config, state, files, batch, tta } = o;
  const { classes } = config;
  const top = Math.min(o.top, classes.length);
  const { seconds } = await o.runJob(
    { config, state, files, batch, top, tta },
    {
      signal: o.signal,
      onProgress: o.onProgress,
      onItem(told) {
        const image = files[told.index]!;
        if ('reason' in told) return o.onResult({ kind: 'unreadable', image, reason: told.reason });
        const named = told.top.map(({ label, probability }) => ({ class: classes[label]!, probability }));
        o.onResult({ kind: 'prediction', image, top: named });
      },
    },
  );
  return seconds;
}
