import { fileURLToPath } from 'node:url';
import { RondoError } from '../../runtime/errors.js';
import type { CertificateIdentity } from '../../runtime/grpc/credentials.js';
import type { LineProcess } from '../support/line-process.js';
import { insideOf, type Network } from '../support/network.js';
import { openWorkerProcess } from '../support/worker-process.js';
import { answerSchema, mergeRanks, type Setting, type StepTimes, type Task } from './task.js';

const port = 7000;

/** What a task took: its steps, each over all ranks, and the processor time of all ranks per step. */
export interface WorldFigures {
  readonly times: readonly StepTimes[];
  readonly cpuSeconds: number;
}

/** A ring of processes, each in its namespace. */
export interface World {
  measure(task: Task): Promise<WorldFigures>;
  close(): Promise<void>;
}

export function openWorld(
  network: Network,
  setting: Omit<Setting, 'rank' | 'addresses' | 'certificate'>,
  threads: number,
  /** By rank; null without encryption. */
  certificates: readonly CertificateIdentity[] | null,
): World {
  const script = fileURLToPath(new URL('rank.js', import.meta.url));
  const addresses = network.hosts.map(({ address }) => `${address}:${port}`);
  const ranks = network.hosts.map((_, rank) => {
    const place: Setting = { ...setting, rank, addresses, certificate: certificates?.[rank] ?? null };
    return openWorkerProcess(
      script,
      place,
      { index: rank, threads, gpus: [] },
      { within: insideOf(network, rank) },
    );
  });
  return worldOf(ranks);
}

/** @param ranks processes that answer a task with an `Answer`. */
export function worldOf(ranks: readonly LineProcess[]): World {
  return {
    async measure(task) {
      const answers = await Promise.all(ranks.map((rank) => rank.ask(answerSchema, task)));
      if (new Set(answers.map(({ digest }) => digest)).size > 1) {
        throw new RondoError('data-loss', 'the ranks have come to different states');
      }
      return {
        times: Array.from({ length: task.steps }, (_, step) =>
          mergeRanks(answers.map(({ times }) => times[step]!)),
        ),
        cpuSeconds: answers.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      };
    },
    async close() {
      await Promise.all(ranks.map((rank) => rank.close()));
    },
  };
}
