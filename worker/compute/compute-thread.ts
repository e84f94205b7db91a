import { askForSlices, computeSliceMs } from '../../runtime/cores.js';
import { serveThread } from '../../runtime/thread-calls.js';
import { createOperations } from './operations.js';

// The compute thread's program. TensorFlow blocks the thread that calls it, so it has this one for itself.

// TensorFlow's own threads start from this one, and do as it does.
askForSlices(computeSliceMs);
serveThread(createOperations());
