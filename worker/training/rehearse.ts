import { stepsPerEpoch } from '../../plan/micro-batches.js';
import { largestStep, planStep } from '../../plan/phases.js';
import type { RunConfig, Trainable } from '../../plan/run-config.js';
import type { LoadedBatch } from './batches.js';
import type { Compute, ComputeShape } from './compute.js';
import type { StepRing } from './reduce-parts.js';
import type { Snapshots } from './snapshots.js';
import { takeStep } from './step.js';

/** Of a state that is no state of the run: nobody asks for it, and it is the first to be replaced. */
const noStep = -1;

/**
 * Loads weights of zeros, takes a step of every kind with black images and a snapshot, so that none of these costs
 * the others more when a worker that joins does it, or gives its state, for the first time: TensorFlow prepares what
 * it runs, and memory what is written to, at the first use. What it holds afterwards is no state of the run.
 */
export async function rehearse(o: {
  readonly config: RunConfig;
  readonly compute: Compute;
  readonly shape: ComputeShape;
  readonly snapshots: Snapshots;
  readonly heldSnapshots: Snapshots;
  readonly vectors: Readonly<Partial<Record<Trainable, Float32Array>>>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { config, compute, shape, snapshots, heldSnapshots, signal } = o;
  const { parameters } = shape.state;
  const load = async (state: Float32Array) => {
    state.fill(0);
    // Larger than what comes: gradients that do not fit their grid would be computed twice.
    state.fill(1, shape.held.amax, shape.held.amax + parameters.length);
    await compute.loadHeld(state);
  };
  const done = new Set<Trainable>();
  let step = 0;
  for (const { epochs } of config.phases) {
    const plan = planStep(config, step);
    step += epochs * stepsPerEpoch(config);
    const { trainable } = plan;
    if (done.has(trainable)) continue;
    done.add(trainable);
    await heldSnapshots.put(noStep, load);
    const share = { microBatches: [0], computed: [] };
    await takeStep({ ...plan, microBatches: [plan.microBatches[0]!] }, [blackBatch(config)], share, {
      ...{ config, compute, ring: ringOfOne, isAlone: false, layout: shape.reductions[trainable]! },
      vector: o.vectors[trainable]!,
      requests: () => ({ stop: false, keep: false, snapshot: false }),
      keep() {},
      ...{ signal, abandoned: signal },
    });
  }
  await heldSnapshots.take(noStep);
  await snapshots.take(noStep);
  await compute.checksum();
}

/** Of a rehearsed step: what TensorFlow prepares does not depend on how many there are. */
const fewImages = 2;

const ringOfOne: StepRing = {
  async allReduce(vector) {
    vector.set(new Int32Array(vector.buffer, vector.byteOffset, vector.length));
  },
  allGather: async (bytes) => [bytes],
};

function blackBatch(config: RunConfig): LoadedBatch {
  const count = Math.min(fewImages, config.microBatch, largestStep(config));
  return {
    ids: new Uint32Array(count),
    pixels: new Uint8Array(count * config.presize ** 2 * 3),
    labels: new Int32Array(count),
    transforms: new Float32Array(count * 8),
    lighting: new Float32Array(count * 2),
    release() {},
  };
}
