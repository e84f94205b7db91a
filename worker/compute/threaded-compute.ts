import { SHARE_ENV } from 'node:worker_threads';
import { type CalledThread, startThread } from '../../runtime/thread-calls.js';
import type { Compute, ComputeOperations } from '../training/compute.js';

export type ThreadedCompute = Compute & Pick<CalledThread<ComputeOperations>, 'isBusy' | 'destroy'>;

/**
 * TensorFlow in a thread of its own, so that the event loop stays free for gRPC and NATS. Calls are carried
 * out in the order they are made; when the thread dies, those that wait are rejected.
 */
export function startComputeThread(): ThreadedCompute {
  const { calls, isBusy, destroy } = startThread<ComputeOperations>(
    new URL('./compute-thread.js', import.meta.url),
    {
      what: 'the compute thread',
      operations: {
        open: true,
        initialize: true,
        load: true,
        save: true,
        saveHeld: true,
        loadHeld: true,
        checksum: true,
        resetMoments: true,
        gradientPart: true,
        sumAlone: true,
        apply: true,
        evaluate: true,
        predict: true,
        close: true,
      },
      worker: { env: SHARE_ENV },
    },
  );
  return { ...calls, isBusy, destroy };
}
