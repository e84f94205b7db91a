import type { Evaluation } from '../../proto/gen/coordinator.js';
import { RondoError } from '../../runtime/errors.js';
import type { EvaluationResult, WorkerPlace } from './cluster-events.js';
import { describeDisagreement, nameWorker } from './disagreement.js';

/**
 * One evaluation out of every rank's share. The shares must cover the samples 0 … validCount−1, each once.
 *
 * @throws RondoError data-loss, naming the sample and the worker.
 */
export function mergeEvaluation(
  places: readonly WorkerPlace[],
  shares: readonly Evaluation[],
  validCount: number,
): EvaluationResult {
  const { epoch, step } = shares[0]!;
  const difference = describeDisagreement(
    places,
    shares.map((share) => `the evaluation after step ${share.step}`),
  );
  if (difference !== null) throw broken(epoch, difference);

  const merged = {
    epoch,
    step: Number(step),
    sampleIds: Uint32Array.from({ length: validCount }, (_, id) => id),
    losses: new Float32Array(validCount),
    predictions: new Uint32Array(validCount),
    labelRanks: new Uint32Array(validCount),
    probabilities: new Float32Array(validCount),
  };
  const seen = new Uint8Array(validCount);
  for (const [rank, share] of shares.entries()) {
    const { sampleIds, losses, predictions, labelRanks, probabilities } = share;
    const lists = [sampleIds, losses, predictions, labelRanks, probabilities];
    const lengths = new Set(lists.map(({ length }) => length));
    if (lengths.size > 1) {
      throw broken(epoch, `${nameWorker(places[rank]!)} sent arrays of different lengths`);
    }
    for (const [index, id] of sampleIds.entries()) {
      if (id >= validCount) throw broken(epoch, `${nameWorker(places[rank]!)} sent sample ${id}, unknown`);
      if (seen[id] === 1) throw broken(epoch, `${nameWorker(places[rank]!)} sent sample ${id} a second time`);
      seen[id] = 1;
      merged.losses[id] = losses[index]!;
      merged.predictions[id] = predictions[index]!;
      merged.labelRanks[id] = labelRanks[index]!;
      merged.probabilities[id] = probabilities[index]!;
    }
  }
  const missing = seen.indexOf(0);
  if (missing >= 0) throw broken(epoch, `nobody sent sample ${missing}`);
  return merged;
}

function broken(epoch: number, reason: string): RondoError {
  return new RondoError('data-loss', `the evaluation of epoch ${epoch} is not whole: ${reason}`);
}
