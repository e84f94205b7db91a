// `npm run bench -- overlap`: how long a step waits for the ring between machines on slow links, with the
// ring at work while gradients are computed and with the ring after them; with --peers beside DDP over gloo.

import { certify } from '../support/credentials.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { openNetwork } from '../support/network.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { parseOverlapArguments } from './arguments.js';
import { openDdp } from './ddp.js';
import { exposedRatios, formatReport, type OverlapReport, summarize, type Way } from './report.js';
import { openWorld, type WorldFigures } from './world.js';

await runMain(async (args) => {
  const configuration = parseOverlapArguments(args);
  const { ranks, threads, rate, wires, tls, steps, repeats, json } = configuration;
  const peers = await findPeers(configuration.peers, ['torch', 'torchvision']);
  const network = openNetwork(ranks, rate);
  const leave = () => {
    network.destroy();
    process.exit(130);
  };
  process.once('SIGINT', leave).once('SIGTERM', leave);
  const world = openWorld(network, configuration, threads, tls ? await certify(ranks) : null);
  const ddp = peers === null ? null : await openDdp(network, configuration);
  const ways = wires.flatMap((wire) =>
    [false, true].map((overlapped): Way => ({ by: 'rondo', wire, overlapped })),
  );
  if (ddp !== null) ways.push({ by: 'ddp', wire: 'float32', overlapped: true });
  let figures: WorldFigures[][];
  try {
    await world.measure({ ...ways[0]!, steps: 1 });
    // Its first step says in which order gradients come, by which the second makes its buckets.
    await ddp?.measure({ ...ways[0]!, steps: 2 });
    figures = await takeTurns(ways, repeats, (way) =>
      (way.by === 'ddp' ? ddp! : world).measure({ ...way, steps }),
    );
  } finally {
    await world.close();
    await ddp?.close();
    network.destroy();
  }
  const results = ways.map((way, index) => summarize(way, figures[index]!));
  const report: OverlapReport = {
    ...{ bench: 'overlap', configuration, environment: describeEnvironment(), results },
    exposedRatios: exposedRatios(results),
    peers,
  };
  publish(report, formatReport(report), json);
});
