import { type ImageBatch, openProgram, type ProgramOptions } from '../../../worker/model/program.js';
import { noiseBatch, plausibleState } from './model-state.js';

export const classes = 5;
export const options = {
  arch: 'resnet18',
  classes,
  size: 64,
  presize: 72,
  precision: 'float32',
  dropout: [0.25, 0.5],
  trainable: ['all', 'frozen'],
  weightDecay: 0.01,
} as const satisfies ProgramOptions;

interface Piece {
  readonly batch: ImageBatch;
  readonly key: readonly [number, number];
}

/** Of ResNet18 at 64 px; whoever takes it closes it. */
export const program = openProgram(options);
export const state = plausibleState(program.state);
export const pieces = [4, 6, 3].map((count, index): Piece => {
  const batch = noiseBatch(count, options.presize, classes, index + 1);
  return { batch, key: [2 * index + 1, 2 * index + 2] };
});

/** The sum over the batches, which is written whole. */
export function gradientsOf(batches: readonly Piece[], trainable: 'all' | 'frozen' = 'all'): Float32Array {
  const vector = new Float32Array(program.reduction(trainable).length).fill(Number.NaN);
  program.gradients(batches, trainable, vector);
  return vector;
}
