import assert from 'node:assert/strict';
import { parentPort } from 'node:worker_threads';
import { RondoError } from '../../runtime/errors.js';
import { askForSlices, computeSliceMs } from '../../runtime/time-slices.js';
import type { ComputeOperations } from '../training/compute.js';
import { createOperations } from './operations.js';
import type { ComputeAnswer, ComputeCall } from './threaded-compute.js';

// The compute thread's program. TensorFlow blocks the thread that calls it, so it has this one for itself.

assert(parentPort, 'runs in a worker thread');
const port = parentPort;
// TensorFlow's own threads start from this one, and do as it does.
askForSlices(computeSliceMs);
const operations = createOperations();

port.on('message', (call: ComputeCall) => port.postMessage(answer(call)));

function answer({ id, name, inputs }: ComputeCall): ComputeAnswer {
  try {
    const operation = operations[name] as (
      ...inputs: unknown[]
    ) => ReturnType<ComputeOperations[typeof name]>;
    return { id, ok: true, result: operation(...inputs) };
  } catch (thrown) {
    return { id, ok: false, error: RondoError.from(thrown).toPlain() };
  }
}
