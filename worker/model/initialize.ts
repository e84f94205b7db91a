import { openStream } from '../../plan/random.js';
import type { StateLayout } from './layout.js';
import { volume } from './parameters.js';

/**
 * A network's state before training, flat by `layout`; the same for the same seed, on any machine.
 * Body as torchvision's ResNet: convolutions Kaiming normal by fan out. Head as fastai v1's `create_head`: linear
 * weights Kaiming normal by fan in. Batch norm 1 and 0, biases 0, running means 0, running variances 1, moments 0.
 */
export function initialState(layout: StateLayout, seed: number): Float32Array {
  const state = new Float32Array(layout.length);
  for (const [index, spec] of layout.parameters.entries()) {
    const values = state.subarray(spec.offset, spec.offset + volume(spec.shape));
    if (spec.shape.length > 1) fillNormal(values, kaimingDeviation(spec.shape), seed, index);
    else if (spec.name.endsWith('.weight')) values.fill(1);
  }
  for (const spec of layout.statistics) {
    if (spec.name.endsWith('.running_var')) state.fill(1, spec.offset, spec.offset + volume(spec.shape));
  }
  return state;
}

/** He et al., "Delving deep into rectifiers" (2015), equation 14 for convolutions and 10 for linear layers. */
function kaimingDeviation(shape: readonly number[]): number {
  const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]];
  const fan = kernel.length > 0 ? kernel.reduce((product, side) => product * side, outputs) : inputs;
  return Math.sqrt(2 / fan);
}

/** Independent normal numbers by Box and Muller's transform, two from two uniform ones. */
function fillNormal(values: Float32Array, deviation: number, seed: number, index: number): void {
  const stream = openStream(seed, 'initialization', index);
  for (let i = 0; i < values.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - stream.unit()));
    const angle = 2 * Math.PI * stream.unit();
    values[i] = radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = radius * Math.sin(angle);
  }
}
