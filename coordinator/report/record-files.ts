import type { RunConfig } from '../../plan/run-config.js';
import { excerptConfusion } from './confusion-excerpt.js';
import {
  type EvaluatedImage,
  type EvaluatedSet,
  evaluatedImageAt,
  type Interpretation,
} from './interpretation.js';

const linesPerPiece = 1000;

/**
 * predictions.jsonl, in pieces: one line per validation image, in the order of the validation set. Of
 * millions of images one text of all lines would be longer than a string can be.
 */
export function* encodePredictions(evaluated: EvaluatedSet): Generator<string> {
  const { classes, paths } = evaluated;
  let piece = '';
  for (let index = 0; index < paths.length; index += 1) {
    piece += `${JSON.stringify(named(evaluatedImageAt(evaluated, index), classes))}\n`;
    if ((index + 1) % linesPerPiece > 0 && index + 1 < paths.length) continue;
    yield piece;
    piece = '';
  }
}

/** interpretation.json: the figures of a report, classes by name. */
export type InterpretationRecord = ReturnType<typeof recordInterpretation>;

export function recordInterpretation(
  { runId, arch }: Pick<RunConfig, 'runId' | 'arch'>,
  origin: string,
  interpretation: Interpretation,
) {
  const { classes, images, errors, confusion, mostConfused, topLosses, scores } = interpretation;
  const excerpt = excerptConfusion({ confusion });
  const { errorRate, validLoss, balancedError, macroF1, top5Error } = interpretation;
  return {
    run: runId,
    arch,
    evaluated: origin,
    images,
    errors,
    errorRate,
    validLoss,
    balancedError,
    macroF1,
    top5Error,
    classes,
    /** Of many classes none: there are the pairs, and every prediction is in predictions.jsonl. */
    confusionMatrix: excerpt.whole ? excerpt.rows.map(({ counts }) => counts) : null,
    mostConfused: mostConfused.map(({ actual, predicted, count }) => ({
      actual: classes[actual],
      predicted: classes[predicted],
      count,
    })),
    topLosses: topLosses.map((image) => named(image, classes)),
    scores: scores.map((score, index) => ({ class: classes[index], ...score })),
  };
}

function named(image: EvaluatedImage, classes: readonly string[]) {
  const { path, actual, predicted, loss, probability } = image;
  return { path, actual: classes[actual], predicted: classes[predicted], loss, probability };
}
