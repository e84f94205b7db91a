// `npm run bench -- all-reduce`: the time to sum a vector over processes on this machine, with both wire
// types, where the vectors lie and in a ring through shared memory or over gRPC, and with --peers of
// torch.distributed's gloo beside it.
import type { FloatType } from '../../plan/run-config.js';
import { describeEnvironment } from '../support/environment.js';
import { findPeers } from '../support/find-peers.js';
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
  const ours = await Promise.all([
    openRondo(ranks, 'vectors', 1),
    openRondo(ranks, 'slots', lanes),
    openRondo(ranks, 'grpc', 1),
  ]);
  const gloo = peers === null ? null : await openGloo(ranks);
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
  }
  const environment = describeEnvironment();
  const report: AllReduceReport = {
    ...{ bench: 'all-reduce', ranks, lanes, rounds, repeats, environment, peers, results },
  };
  publish(report, formatReport(report), o.json);
});
