import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** What a figure is worth little without. */
export interface Environment {
  /** Abbreviated commit, with "+" when the working tree differs from it; "unknown" outside a repository. */
  readonly commit: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
}

export function describeEnvironment(): Environment {
  return {
    commit: describeCommit(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
  };
}

/** One line for the head of a report. */
export function formatEnvironment(environment: Environment): string {
  const { commit, processor, cores, memoryBytes, node } = environment;
  const memory = `${Math.round(memoryBytes / 2 ** 30)} GiB`;
  return `commit ${commit}, ${processor}, ${cores} cores, ${memory}, Node ${node}`;
}

function describeCommit(): string {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '-uno') === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
