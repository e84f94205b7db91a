// `npm run bench -- all-reduce`: the time to sum a vector over processes on this machine, with both wire
// types, where the vectors lie and in a ring through shared memory, over sockets or over gRPC, with TLS and without,
// and with --peers of torch.distributed's gloo beside it; with --rate on links between network namespaces.
import type { FloatType } from '../../plan/run-config.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
import { openNetwork } from '../support/network.js';
import { publish } from '../support/publish.js';
import { runMain } from '../support/run-main.js';
import { takeTurns } from '../support/take-turns.js';
import { parseAllReduceArguments } from './arguments.js';
import { openGloo } from './gloo.js';
import type { Implementation } from './implementation.js';
import { type AllReduceReport, formatReport, type Result, summarize } from './report.js';
import { openRondo } from './rondo.js';

await runMain(async (args) => {
  const { ranks, lanes, rounds, repeats, ...o } = parseAllReduceArguments(args);
  const peers = await findPeers(o.peers, ['torch']);
  const network = o.rate === null ? null : openNetwork(ranks, o.rate);
  const leave = () => {
    network?.destroy();
    process.exit(130);
  };
  process.once('SIGINT', leave).once('SIGTERM', leave);
  const ours = await Promise.all(
    o.ways.map((way) => openRondo(ranks, way, way === 'vectors' ? 1 : lanes, network)),
  );
  const gloo = peers === null ? null : await openGloo(ranks, network);
  const entries: [Implementation, FloatType][] = [
    ...ours.flatMap((implementation) =>
      o.wires.map((wire): [Implementation, FloatType] => [implementation, wire]),
    ),
    ...(gloo === null ? [] : [[gloo, 'float32'] as [Implementation, FloatType]]),
  ];
  const results: Result[] = [];
  try {
    for (const megabytes of o.megabytes) {
      const length = Math.round((megabytes * 1e6) / 4);
      const figures = await takeTurns(entries, repeats, ([implementation, wire]) =>
        implementation.measure({ length, wire, rounds }),
      );
      for (const [index, [{ name }, wire]] of entries.entries()) {
        results.push(summarize({ name, wire, length, ranks }, figures[index]!));
      }
    }
  } finally {
    await Promise.all([...ours, gloo].map((implementation) => implementation?.close()));
    network?.destroy();
  }
  const environment = describeEnvironment();
  const report: AllReduceReport = {
    ...{ bench: 'all-reduce', ranks, lanes, rate: o.rate, rounds, repeats, environment, peers, results },
  };
  publish(report, formatReport(report), o.json);
});
