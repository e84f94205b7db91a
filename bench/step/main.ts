// `npm run bench -- step`: images per second of forward pass, backward pass and update, of one worker with several threads and
// of several workers at the same time; the frozen stage beside the unfrozen one, and with --peers PyTorch beside both.
import { describeEnvironment } from '../support/environment.js';
import { findPythonModules, python } from '../support/python.js';
import { runMain } from '../support/run-main.js';
import { parseStepArguments, type StepArguments, type Workers } from './arguments.js';
import type { Contestant, Figure, Setting, Task } from './contestant.js';
import { formatReport, type StepReport, summarize } from './report.js';
import { openRondo } from './rondo.js';
import { openTorch } from './torch.js';

/** The pets of the lesson. */
const classes = 37;

await runMain(async (args) => {
  const o = parseStepArguments(args);
  const peers = o.peers ? await findPythonModules(['torch', 'torchvision']) : null;
  if (o.peers && peers === null) {
    console.error(
      `no peer: ${python} cannot import torch and torchvision (RONDO_BENCH_PYTHON names another)`,
    );
  }
  const results = [];
  for (const size of o.sizes) {
    for (const workers of o.workers) results.push(await measure(o, size, workers, peers !== null));
  }
  const { arch, batch, steps, repeats, input } = o;
  const environment = describeEnvironment();
  const report: StepReport = {
    ...{ bench: 'step', arch, batch, classes, steps, repeats, input, environment, peers, results },
  };
  if (!o.json) console.log(`${formatReport(report)}\n`);
  console.log(JSON.stringify(report));
});

async function measure(o: StepArguments, size: number, workers: Workers, withPeer: boolean) {
  const { arch, batch, input, steps, repeats } = o;
  const setting: Setting = { arch, batch, input, size, classes, threads: workers.threads };
  const rondo = openRondo(setting, workers.processes);
  const torch = withPeer ? openTorch(setting, workers.processes) : null;
  const lanes: { contestant: Contestant; trainable: Task['trainable']; figures: Figure[] }[] = [
    { contestant: rondo, trainable: 'all', figures: [] },
    ...(torch === null ? [] : [{ contestant: torch, trainable: 'all' as const, figures: [] }]),
    { contestant: rondo, trainable: 'frozen', figures: [] },
  ];
  try {
    // Kernels are chosen and memory is taken in the first step.
    for (const { contestant, trainable } of lanes) await contestant.measure({ steps: 1, trainable });
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      // In turn, there and back, so that what the machine does beside meets them alike.
      for (const { contestant, trainable, figures } of repeat % 2 === 0 ? lanes : lanes.toReversed()) {
        figures.push(await contestant.measure({ steps, trainable }));
      }
    }
  } finally {
    await Promise.all([rondo.close(), torch?.close()]);
  }
  const measured = lanes.map(({ contestant: { name }, trainable, figures }) => ({
    name,
    trainable,
    figures,
  }));
  return summarize({ size, workers }, measured);
}
