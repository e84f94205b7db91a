import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Trainable } from '../../plan/run-config.js';
import { beginAverage, initialState } from '../model/initialize.js';
import { openProgram, type Program, type ReductionLayout } from '../model/program.js';
import { overlayPretrained } from '../model/weights/load-pretrained.js';
import { readWeights } from '../model/weights/read-weights.js';
import type { ComputeOperations, Digests } from '../training/compute.js';

/** The operations on a TensorFlow program, which `open` builds in the calling thread. */
export function createOperations(): ComputeOperations {
  let opened: Program | undefined;
  const program = () => {
    assert(opened, 'open comes first');
    return opened;
  };
  const digest = (state: Float32Array): Digests => {
    const { start, end } = program().state.evaluated;
    return { state: sha256(state), parameters: sha256(state.subarray(start, end)) };
  };

  return {
    open(options) {
      assert(!opened, 'a process opens one program');
      opened = openProgram(options);
      const reductions: Partial<Record<Trainable, ReductionLayout>> = {};
      for (const trainable of options.trainable) reductions[trainable] = opened.reduction(trainable);
      return { kernels: opened.kernels(), state: opened.state, reductions };
    },
    initialize(into, seed, pretrained) {
      const layout = program().state;
      initialState(layout, seed, into);
      if (pretrained) {
        overlayPretrained(into, layout, readWeights(pretrained));
        beginAverage(into, layout);
      }
      program().load(into);
      return digest(into);
    },
    load(state) {
      program().load(state);
      return digest(state);
    },
    save(into) {
      return digest(program().save(into));
    },
    resetMoments: () => program().resetMoments(),
    gradientPart: (...inputs) => program().gradientPart(...inputs),
    apply(vector, options) {
      const updated = program().isFinite(vector, options.trainable);
      if (updated) program().apply(vector, options);
      return { updated, tensorHandles: program().tensorHandles() };
    },
    evaluate: (batch) => program().evaluate(batch),
    predict: (batch) => program().predict(batch),
    close() {
      opened?.close();
      opened = undefined;
    },
  };
}

function sha256(values: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
}
