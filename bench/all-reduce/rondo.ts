import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { workerEnvironment, workerNodeArguments } from '../../coordinator/launch/worker-environment.js';
import { type Implementation, mergeRanks } from './implementation.js';
import type { FromRank, ToRank } from './rank.js';

/**
 * How ranks reach what the others have: where it lies (`vectors`, as local workers do), in a ring through
 * `slots` that neighbours share, as where some ranks are elsewhere, or in a ring over `grpc` alone, as
 * between machines.
 */
export type Way = 'vectors' | 'slots' | 'grpc';

const names: Readonly<Record<Way, string>> = {
  vectors: 'rondo',
  slots: 'rondo, ring through memory',
  grpc: 'rondo, ring over gRPC',
};

/**
 * Rondo's all-reduce: one Node process per rank, connected over gRPC on loopback, with a local worker's
 * environment.
 */
export async function openRondo(worldSize: number, way: Way, lanes: number): Promise<Implementation> {
  const script = fileURLToPath(new URL('rank.js', import.meta.url));
  const ranks = Array.from({ length: worldSize }, (_, index) =>
    fork(script, [way, String(lanes)], {
      execArgv: [...workerNodeArguments],
      env: workerEnvironment(process.env, { index, threads: 1, gpus: [] }),
    }),
  );
  const listening = await Promise.all(ranks.map((rank) => answerOf(rank, 'listening')));
  const addresses = listening.map(({ address }) => address);
  for (const [rank, child] of ranks.entries()) tell(child, { kind: 'join', rank, addresses });
  return {
    name: names[way],
    async measure(task) {
      const answers = ranks.map((rank) => answerOf(rank, 'measured'));
      for (const rank of ranks) tell(rank, { kind: 'measure', task });
      const figures = (await Promise.all(answers)).map((answer) => answer.figures);
      return mergeRanks(figures, task.rounds);
    },
    async close() {
      const exits = ranks.map((rank) => once(rank, 'exit'));
      for (const rank of ranks) rank.disconnect();
      await Promise.all(exits);
    },
  };
}

function tell(rank: ChildProcess, message: ToRank): void {
  rank.send(message);
}

function answerOf<Kind extends FromRank['kind']>(
  rank: ChildProcess,
  kind: Kind,
): Promise<Extract<FromRank, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`a rank ended with ${code}`));
    rank.once('exit', onExit);
    rank.once('message', (message: FromRank) => {
      rank.off('exit', onExit);
      if (message.kind === kind) resolve(message as Extract<FromRank, { kind: Kind }>);
      else reject(new Error(`a rank answered ${message.kind}, not ${kind}`));
    });
  });
}
