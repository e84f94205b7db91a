// `npm run bench -- scaling`: images per second of whole training runs with several workers on this machine,
// and where the time of their steps goes; with --peers beside PyTorch's DistributedDataParallel over gloo
// with as many processes.
import os from 'node:os';
import path from 'node:path';
import { divideThreads } from '../../coordinator/launch/worker-environment.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { makePictures } from '../support/pictures.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { parseScalingArguments } from './arguments.js';
import { runDdp } from './ddp.js';
import { formatReport, type Run, type ScalingReport, summarize } from './report.js';
import { runRondo } from './rondo.js';
import type { Setting } from './speeds.js';

await runMain(async (args) => {
  const configuration = parseScalingArguments(args);
  const { size, batch, images, arch, wire, repeats } = configuration;
  const peers = await findPeers(configuration.peers, ['torch', 'torchvision', 'PIL']);
  const files = await makePictures(path.join(os.tmpdir(), `rondo-bench-pictures-${images}`), images);
  const results = [];
  for (const workers of configuration.workers) {
    const setting: Setting = { size, batch, arch, wire, workers, threads: divideThreads(workers), files };
    const implementations = [
      (): Promise<Run> => runRondo(setting),
      ...(peers === null
        ? []
        : [async (): Promise<Run> => ({ speeds: await runDdp(setting), shares: null })]),
    ];
    const runs = await takeTurns(implementations, repeats, (run) => run());
    results.push(summarize(workers, runs[0]!, runs[1] ?? null));
  }
  const report: ScalingReport = {
    ...{ bench: 'scaling', configuration, environment: describeEnvironment(), peers, results },
  };
  publish(report, formatReport(report), configuration.json);
});
