import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { python, pythonScript } from '../support/python.js';
import { type Contestant, mergeRanks, type RankFigures, type Task } from './contestant.js';

/** torch.distributed's gloo: one Python process per rank. Its wire is float32 always. */
export async function openGloo(worldSize: number): Promise<Contestant> {
  const folder = await mkdtemp(join(tmpdir(), 'rondo-bench-gloo-'));
  const ranks = Array.from({ length: worldSize }, (_, rank) =>
    openRank([String(rank), String(worldSize), join(folder, 'store')]),
  );
  return {
    name: 'gloo',
    async measure(task) {
      return mergeRanks(await Promise.all(ranks.map((rank) => rank.measure(task))), task.rounds);
    },
    async close() {
      await Promise.all(ranks.map((rank) => rank.close()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function openRank(args: readonly string[]) {
  const child: ChildProcess = spawn(python, [pythonScript('all-reduce', 'gloo.py'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout! });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`a rank of gloo ended with ${code}`);
  });
  ended.catch(() => {});
  return {
    async measure(task: Task): Promise<RankFigures> {
      child.stdin!.write(`${JSON.stringify(task)}\n`);
      const [line] = (await Promise.race([once(answers, 'line'), ended])) as [string];
      return JSON.parse(line) as RankFigures;
    },
    async close(): Promise<void> {
      child.stdin!.end();
      await ended.catch(() => {});
    },
  };
}
