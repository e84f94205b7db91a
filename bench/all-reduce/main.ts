// `npm run bench -- all-reduce`: the time to sum a vector over processes on this machine, of Rondo's ring with both
// wire types, through shared memory and over gRPC alone, and with --peers of torch.distributed's gloo beside it.
import { parseArgs } from 'node:util';
import type { FloatType } from '../../plan/run-config.js';
import { RondoError } from '../../runtime/errors.js';
import { describeEnvironment } from '../support/environment.js';
import { findPythonModules, python } from '../support/python.js';
import { runMain } from '../support/run-main.js';
import type { Contestant, Figures } from './contestant.js';
import { openGloo } from './gloo.js';
import { type AllReduceReport, formatReport, summarize } from './report.js';
import { openRondo } from './rondo.js';

const usage =
  'Usage: npm run bench -- all-reduce [--ranks 4] [--megabytes 87,2.2] [--wires float32,bfloat16] [--lanes 1] [--rounds 20] [--repeats 3] [--peers] [--json]';

await runMain(async (args) => {
  const o = parseArguments(args);
  const torch = o.peers ? await findPythonModules(['torch']) : null;
  if (o.peers && torch === null) {
    console.error(`no peer: ${python} cannot import torch (RONDO_BENCH_PYTHON names another)`);
  }
  const rings = await Promise.all([openRondo(o.ranks, 'memory', o.lanes), openRondo(o.ranks, 'grpc', 1)]);
  const gloo = torch === null ? null : await openGloo(o.ranks);
  const entries: [Contestant, FloatType][] = [
    ...rings.flatMap((ring) => o.wires.map((wire): [Contestant, FloatType] => [ring, wire])),
    ...(gloo === null ? [] : [[gloo, 'float32'] as [Contestant, FloatType]]),
  ];
  const results = [];
  try {
    for (const megabytes of o.megabytes) {
      const length = Math.round((megabytes * 1e6) / 4);
      const figures: Figures[][] = entries.map(() => []);
      // Alternating, so that what the machine does beside meets them alike.
      for (let repeat = 0; repeat < o.repeats; repeat += 1) {
        for (const [index, [contestant, wire]] of entries.entries()) {
          figures[index].push(await contestant.measure({ length, wire, rounds: o.rounds }));
        }
      }
      for (const [index, [{ name }, wire]] of entries.entries()) {
        results.push(summarize({ name, wire, length, ranks: o.ranks }, figures[index]));
      }
    }
  } finally {
    await Promise.all([...rings, gloo].map((contestant) => contestant?.close()));
  }
  const { ranks, lanes, rounds, repeats } = o;
  const environment = describeEnvironment();
  const report: AllReduceReport = {
    ...{ bench: 'all-reduce', ranks, lanes, rounds, repeats, environment, peers: torch, results },
  };
  if (!o.json) console.log(`${formatReport(report)}\n`);
  console.log(JSON.stringify(report));
});

function parseArguments(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ranks: { type: 'string', default: '4' },
        megabytes: { type: 'string', default: '87,2.2' },
        wires: { type: 'string', default: 'float32,bfloat16' },
        lanes: { type: 'string', default: '1' },
        rounds: { type: 'string', default: '20' },
        repeats: { type: 'string', default: '3' },
        peers: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const { peers, json } = values;
    const count = (name: 'ranks' | 'lanes' | 'rounds' | 'repeats'): number => {
      const value = Number(values[name]);
      if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} must be a positive integer.`);
      return value;
    };
    const megabytes = values.megabytes.split(',').map(Number);
    if (!megabytes.every((value) => value > 0)) throw new Error('--megabytes must be positive numbers.');
    const wires = values.wires.split(',').map((wire): FloatType => {
      if (wire !== 'float32' && wire !== 'bfloat16') throw new Error('--wires are float32 and bfloat16.');
      return wire;
    });
    const ranks = count('ranks');
    if (ranks < 2) throw new Error('--ranks must be at least 2.');
    return {
      ranks,
      lanes: count('lanes'),
      wires,
      rounds: count('rounds'),
      repeats: count('repeats'),
      megabytes,
      peers,
      json,
    };
  } catch (error) {
    throw new RondoError('invalid-argument', (error as Error).message, { remedy: usage, cause: error });
  }
}
