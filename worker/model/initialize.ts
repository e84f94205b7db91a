import { openStream } from '../../plan/random.js';
import type { StateLayout } from './layout.js';
import { fillNormal } from './normal-numbers.js';
import { volume } from './parameters.js';

/**
 * A network's state before training, flat by `layout`, in `state` if given; the same for the same seed, on
 * any machine. Body as torchvision's ResNet: convolutions Kaiming normal by fan out. Head as fastai v1's
 * `create_head`: linear weights Kaiming normal by fan in. Batch norm 1 and 0, biases 0, running means 0,
 * running variances 1, moments 0; the average is that of these values alone.
 */
export function initialState(
  layout: StateLayout,
  seed: number,
  state: Float32Array = new Float32Array(layout.length),
): Float32Array {
  state.fill(0);
  for (const [index, spec] of layout.parameters.entries()) {
    const values = state.subarray(spec.offset, spec.offset + volume(spec.shape));
    if (spec.shape.length > 1) {
      fillNormal(values, kaimingDeviation(spec.shape), openStream(seed, 'initialization', index));
    } else if (spec.name.endsWith('.weight')) {
      values.fill(1);
    }
  }
  for (const spec of layout.statistics) {
    if (spec.name.endsWith('.running_var')) state.fill(1, spec.offset, spec.offset + volume(spec.shape));
  }
  beginAverage(state, layout);
  return state;
}

/** Begins the moving average, where the state has one, with parameters and statistics as they are. */
export function beginAverage(state: Float32Array, { average, evaluated }: StateLayout): void {
  // Both lie in the same order, without gaps.
  if (average.length > 0) state.copyWithin(evaluated.start, 0, evaluated.end - evaluated.start);
}

/**
 * He et al., "Delving deep into rectifiers" (2015), equation 14 for convolutions and 10 for linear layers.
 */
function kaimingDeviation(shape: readonly number[]): number {
  const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]];
  const fan = kernel.length > 0 ? kernel.reduce((product, side) => product * side, outputs) : inputs;
  return Math.sqrt(2 / fan);
}
