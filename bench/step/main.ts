// `npm run bench -- step`: images per second of forward pass, backward pass and update, of one worker with
// several threads and of several workers at the same time; the frozen phase beside the unfrozen one, and with
// --peers PyTorch and tfjs-node's layers.
import { runComputeBench } from '../compute/bench.js';
import { runMain } from '../support/run-main.js';

await runMain((args) =>
  runComputeBench(
    {
      bench: 'step',
      defaults: { workers: '1x2,4x1', batch: '16', steps: '2' },
      work: 'all',
      alongside: (rondo) => [{ implementation: rondo, work: 'frozen' }],
    },
    args,
  ),
);
