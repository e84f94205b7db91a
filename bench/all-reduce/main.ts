// `npm run bench -- all-reduce`: the time to sum a vector over processes on this machine, with both wire
// types, where the vectors lie and in a ring through shared memory, over sockets or over gRPC, with TLS and without,
// and with --peers of torch.distributed's gloo beside it; with --hosts as if on several machines, with --rate on links
// between network namespaces.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { FloatType } from '../../plan/run-config.js';
import { largest } from '../../runtime/extremes.js';
import { makeFolder } from '../../runtime/make-folder.js';
import { sharedMemory } from '../../runtime/shared-files.js';
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
  const hostCount = o.hosts ?? ranks;
  const hostOf = (rank: number) => Math.floor((rank * hostCount) / ranks);
  const network = o.rate === null ? null : openNetwork(hostCount, o.rate);
  const memory = o.hosts === null ? null : mkdtempSync(join(sharedMemory, 'rondo-bench-'));
  const destroy = () => {
    network?.destroy();
    if (memory !== null) rmSync(memory, { recursive: true });
  };
  const leave = () => {
    destroy();
    process.exit(130);
  };
  process.once('SIGINT', leave).once('SIGTERM', leave);
  const folders = Array.from({ length: ranks }, (_, rank) => {
    const folder = memory === null ? sharedMemory : join(memory, String(hostOf(rank)));
    makeFolder(folder);
    return folder;
  });
  const places = network && { hosts: folders.map((_, rank) => network.hosts[hostOf(rank)]!) };
  const ours = await Promise.all(o.ways.map((way) => openRondo(ranks, way, lanes, places, folders)));
  const gloo = peers === null ? null : await openGloo(ranks, places);
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
      const figures = await takeTurns(entries, repeats, async ([implementation, wire]) => {
        const before = network?.sentBytes() ?? [];
        const measured = await implementation.measure({ length, wire, rounds });
        const sent = network?.sentBytes().map((bytes, host) => bytes - before[host]!) ?? null;
        // One round comes before those that are timed.
        return { ...measured, sentBytes: sent && largest(sent) / (rounds + 1) };
      });
      for (const [index, [{ name }, wire]] of entries.entries()) {
        results.push(summarize({ name, wire, length, ranks }, figures[index]!));
      }
    }
  } finally {
    await Promise.all([...ours, gloo].map((implementation) => implementation?.close()));
    destroy();
  }
  const environment = describeEnvironment();
  const report: AllReduceReport = {
    ...{
      bench: 'all-reduce',
      ranks,
      lanes,
      hosts: o.hosts,
      rate: o.rate,
      rounds,
      repeats,
      environment,
      peers,
      results,
    },
  };
  publish(report, formatReport(report), o.json);
});
