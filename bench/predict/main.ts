// `npm run bench -- predict`: images per second to probabilities, of one worker, and with --peers of PyTorch
// in evaluation mode and of tfjs-node's layers.
import { runComputeBench } from '../compute/bench.js';
import { runMain } from '../support/run-main.js';

await runMain((args) =>
  runComputeBench(
    {
      bench: 'predict',
      defaults: { workers: '1x2', batch: '32', steps: '3' },
      work: 'predict',
      alongside: () => [],
    },
    args,
  ),
);
