import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Trainable } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { allocateSumMemory, type SumMemory } from '../arithmetic/reduction-vector.js';
import { beginAverage, initialState } from '../model/initialize.js';
import { openProgram, type Program, type ReductionLayout } from '../model/program.js';
import { overlayPretrained } from '../model/weights/load-pretrained.js';
import type { ComputeOperations } from '../training/compute.js';

/** The operations on a TensorFlow program, which `open` builds in the calling thread. */
export function createOperations(): ComputeOperations {
  let opened: Program | undefined;
  const sums = new Map<Trainable, SumMemory>();
  const program = () => {
    assert(opened, 'open comes first');
    return opened;
  };
  return {
    open(options) {
      assert(!opened, 'a process opens one program');
      opened = openProgram(options);
      const reductions: Partial<Record<Trainable, ReductionLayout>> = {};
      const vectors: Partial<Record<Trainable, WebAssembly.Memory>> = {};
      for (const trainable of options.trainable) {
        const layout = opened.reduction(trainable);
        const sum = allocateSumMemory(layout.length);
        sums.set(trainable, sum);
        reductions[trainable] = layout;
        vectors[trainable] = sum.memory;
      }
      const { state, held } = opened;
      return { kernels: opened.kernels(), state, held, reductions, vectors };
    },
    async initialize(into, seed, pretrained) {
      const layout = program().state;
      initialState(layout, seed, into);
      if (pretrained) {
        // What reads files of weights is not loaded by workers that copy their state from another.
        const { readWeights } = await import('../model/weights/read-weights.js');
        overlayPretrained(into, layout, readWeights(pretrained));
        beginAverage(into, layout);
      }
      program().load(into);
    },
    load: (state) => program().load(state),
    save(into) {
      program().save(into);
    },
    saveHeld: (into) => program().saveHeld(into),
    loadHeld: (from) => program().loadHeld(from),
    checksum: () => createHash('sha256').update(program().checksums()).digest('hex'),
    resetMoments: () => program().resetMoments(),
    gradientPart(part, batches, { cancelled, ...request }) {
      const { vector, own } = sums.get(request.trainable)!;
      const proceed = () => {
        if (Atomics.load(cancelled, 0) !== 0) throw new RondoError('cancelled', 'the step was given up');
      };
      return program().gradientPart(part, batches, { ...request, vector, own, proceed });
    },
    sumAlone(batches, request) {
      const { vector, own } = sums.get(request.trainable)!;
      return program().sumAlone(batches, { ...request, vector, own });
    },
    apply(summaries, { trainable, ...update }) {
      const { vector } = sums.get(trainable)!;
      const { verdict, ...found } = program().finishSum(summaries);
      if (verdict === 'overflow') return { outcome: 'overflow', largest: found.largest };
      if (verdict === 'fits') program().apply(vector, { ...update, ...found, trainable });
      return {
        outcome: verdict === 'fits' ? 'updated' : 'skipped',
        tensorHandles: program().tensorHandles(),
      };
    },
    evaluate: (batch) => program().evaluate(batch),
    predict: (batch) => program().predict(batch),
    close() {
      opened?.close();
      opened = undefined;
    },
  };
}
